//! Lists that a server gives in pages and that commands show whole.

use riscv_runner_core::ports::UsageRow;
use riscv_runner_http::views::{BoardView, BoardsView, GroupView, Part, QueueView, UsageView};
use serde::de::DeserializeOwned;

use crate::{failure::Failure, remote::Server};

/// The largest page that a server gives.
const PER_PAGE: u32 = 1000;

/// A page of a list, which the following pages make whole.
pub(crate) trait Paged: DeserializeOwned {
    /// A row.
    type Row;
    /// Where the server shows it.
    const PATH: &'static str;

    /// Which part this is.
    fn part(&mut self) -> &mut Part;
    /// Its rows.
    fn rows(&mut self) -> &mut Vec<Self::Row>;
}

/// Reads all pages; what is said beside the rows is the first one's. A server that does not know pages gives
/// everything at once.
pub(crate) async fn read<T: Paged>(server: &Server, filter: &[(&'static str, String)]) -> Result<T, Failure> {
    let ask = async |page: u32| -> Result<T, Failure> {
        let paging = [("page", page.to_string()), ("per_page", PER_PAGE.to_string())];
        server.get(&[T::PATH], &[&paging, filter].concat()).await
    };
    let mut all = ask(0).await?;
    let mut page = 1;
    while (all.rows().len() as u64) < all.part().total_count {
        let mut next = ask(page).await?;
        // The list has become shorter since.
        if next.rows().is_empty() {
            break;
        }
        all.rows().append(next.rows());
        page += 1;
    }
    *all.part() = Part::whole(all.rows().len());
    Ok(all)
}

impl Paged for BoardsView {
    type Row = BoardView;
    const PATH: &'static str = "boards.json";

    fn part(&mut self) -> &mut Part {
        &mut self.part
    }

    fn rows(&mut self) -> &mut Vec<BoardView> {
        &mut self.boards
    }
}

impl Paged for QueueView {
    type Row = GroupView;
    const PATH: &'static str = "queue.json";

    fn part(&mut self) -> &mut Part {
        &mut self.part
    }

    fn rows(&mut self) -> &mut Vec<GroupView> {
        &mut self.queue
    }
}

impl Paged for UsageView {
    type Row = UsageRow;
    const PATH: &'static str = "usage.json";

    fn part(&mut self) -> &mut Part {
        &mut self.part
    }

    fn rows(&mut self) -> &mut Vec<UsageRow> {
        &mut self.usage
    }
}
