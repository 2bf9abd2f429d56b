//! The store on PostgreSQL keeps the contract that the simulated one keeps.

use riscv_runner_pg::{PgStore, migrate, testing::ThrowAwayPostgres};
use riscv_runner_sim::contract::store::CHECKS;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_on_postgresql() {
    for (name, check) in CHECKS {
        println!("{name}");
        let config = ThrowAwayPostgres::shared().fresh_config();
        migrate(&config).await.unwrap();
        let store = PgStore::connect(&config).await.unwrap();
        check(&store).await;
        store.close().await;
    }
}
