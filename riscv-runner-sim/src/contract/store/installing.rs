//! Installations that deliveries tell of: the same in any order, in one batch or in many.

use futures::{FutureExt, future::BoxFuture};
use riscv_runner_core::{
    delivery::{DeliveryRecord, Effect, Outcome},
    entity::EntityKind,
    ids::{EntityId, InstallationId},
    installation::{InstallationKey, InstallationNews, Installations, KnownInstallation},
    ports::Store,
};

use super::fixture::{at, log, record};

fn news(entity: i64, app: EntityKind, id: i64, gone: Option<i64>, returned: Option<i64>) -> InstallationNews {
    let key = InstallationKey { entity: EntityId::new(entity).expect("an entity id"), app };
    let known = KnownInstallation {
        id: InstallationId::new(id).expect("an installation id"),
        gone_since: gone.map(at),
        returned_at: returned.map(at),
    };
    InstallationNews { key, known }
}

fn delivery(guid: &str, news: InstallationNews) -> DeliveryRecord {
    DeliveryRecord {
        log: log(guid, "installation"),
        effect: Effect::Nothing(Outcome::Ok),
        installation: Some(news),
    }
}

async fn known(store: &dyn Store) -> Installations {
    store.standing().await.expect("what holds is read").installations
}

/// A life of reinstalls, with the other App installed by mistake in between.
fn a_life(entity: i64) -> Vec<InstallationNews> {
    const OURS: EntityKind = EntityKind::Organization;
    vec![
        news(entity, OURS, 5, None, Some(1)),
        news(entity, OURS, 5, None, None),
        news(entity, OURS, 5, Some(3), None),
        news(entity, EntityKind::User, 8, None, Some(4)),
        news(entity, OURS, 6, None, Some(5)),
        news(entity, OURS, 6, None, Some(7)),
        news(entity, OURS, 6, Some(9), None),
        news(entity, OURS, 6, Some(8), None),
    ]
}

pub(super) fn any_order_of_news_ends_in_the_same(store: &dyn Store) -> BoxFuture<'_, ()> {
    async move {
        assert_eq!(known(store).await, Installations::default());
        // Rotations, and the same backwards: each for an account of its own, one by one and in batches.
        let n = a_life(1).len();
        let mut expected = Installations::default();
        for account in 1..=2 * n {
            let mut told = a_life(i64::try_from(account).expect("a small number"));
            for news in &told {
                expected.learn(news);
            }
            told.rotate_left(account % n);
            if account > n {
                told.reverse();
            }
            for (i, part) in told.chunks(1 + account % 3).enumerate() {
                let told = part.iter().enumerate();
                let batch: Vec<_> =
                    told.map(|(j, news)| delivery(&format!("{account}-{i}-{j}"), *news)).collect();
                record(store, &batch).await;
            }
        }
        assert_eq!(known(store).await, expected);
        let last = a_life(1)[6].key;
        let ours = expected.get(last).expect("it was told");
        assert_eq!((ours.id.get(), ours.gone_since, ours.returned_at), (6, Some(at(8)), Some(at(7))));
    }
    .boxed()
}
