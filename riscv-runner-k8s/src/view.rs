//! What a watch has shown so far, with our own writes merged in. It never guesses: a view that is not
//! complete or too old is an error, since not knowing is not absence.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

/// Objects that were seen to go are remembered this long, so that an answer that was overtaken by the
/// watch does not bring them back.
const REMEMBER_GONE: Duration = Duration::from_secs(60);

/// One object, reduced, in one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen<V> {
    /// Which object of its name.
    pub(crate) uid: String,
    /// Its `resourceVersion`, which grows with every write; 0 where it is not a number.
    pub(crate) version: u64,
    /// What we keep of it.
    pub(crate) value: V,
}

#[derive(Debug)]
struct Entry<V> {
    seen: Seen<V>,
    /// When an answer to our own write showed it.
    written: Option<Instant>,
}

#[derive(Debug)]
struct Listing<K, V> {
    began: Instant,
    entries: BTreeMap<K, Entry<V>>,
}

/// Why a view cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Blind {
    /// Nothing complete has been seen yet.
    #[error("the first listing is not complete{}", cause(.0.as_ref()))]
    NotSynchronised(Option<String>),
    /// The watch has been broken for too long.
    #[error("the watch has been broken for {}s{}", .0.as_secs(), cause(.1.as_ref()))]
    Stale(Duration, Option<String>),
}

fn cause(error: Option<&String>) -> String {
    error.map_or_else(String::new, |error| format!(": {error}"))
}

/// The objects of one kind.
#[derive(Debug)]
pub(crate) struct View<K, V> {
    entries: BTreeMap<K, Entry<V>>,
    gone: BTreeMap<String, Instant>,
    listing: Option<Listing<K, V>>,
    synchronised: bool,
    broken: Option<(Instant, String)>,
}

impl<K: Ord + Clone, V: PartialEq + Clone> View<K, V> {
    pub(crate) const fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            gone: BTreeMap::new(),
            listing: None,
            synchronised: false,
            broken: None,
        }
    }

    /// A listing begins: what it will show is at least as new as `now`.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.listing = Some(Listing { began: now, entries: BTreeMap::new() });
    }

    /// The listing shows an object.
    pub(crate) fn listed(&mut self, key: K, seen: Seen<V>) {
        if let Some(listing) = &mut self.listing {
            listing.entries.insert(key, Entry { seen, written: None });
        }
    }

    /// The listing is complete: what it did not show is gone, except what we wrote meanwhile. Says
    /// whether anything is different now.
    pub(crate) fn complete(&mut self) -> bool {
        let Some(Listing { began, mut entries }) = self.listing.take() else { return false };
        entries.retain(|_, entry| self.gone.get(&entry.seen.uid).is_none_or(|at| *at < began));
        for (key, old) in &self.entries {
            let newer = entries.get(key).is_none_or(|listed| listed.seen.version < old.seen.version);
            if newer && old.written.is_some_and(|at| at >= began) {
                entries.insert(key.clone(), Entry { seen: old.seen.clone(), written: old.written });
            }
        }
        let same = entries.len() == self.entries.len()
            && entries.iter().all(|(key, entry)| {
                self.entries.get(key).is_some_and(|old| old.seen.value == entry.seen.value)
            });
        let changed = !same || !self.synchronised;
        self.entries = entries;
        self.synchronised = true;
        changed
    }

    /// The watch works. Returns whether it was broken: a listing alone does not fix it, because the next
    /// change would not be seen.
    pub(crate) fn works(&mut self) -> bool {
        self.broken.take().is_some()
    }

    /// The watch shows an object. Says whether it is different from before.
    pub(crate) fn apply(&mut self, key: K, seen: Seen<V>) -> bool {
        self.put(key, seen, None)
    }

    /// The watch shows that an object is gone. Says whether we had it.
    pub(crate) fn delete(&mut self, key: &K, uid: &str, now: Instant) -> bool {
        self.gone.retain(|_, at| now.duration_since(*at) < REMEMBER_GONE);
        self.gone.insert(uid.to_owned(), now);
        if self.entries.get(key).is_some_and(|entry| entry.seen.uid == uid) {
            self.entries.remove(key);
            return true;
        }
        false
    }

    /// The answer to our own write shows an object.
    pub(crate) fn wrote(&mut self, key: K, seen: Seen<V>, now: Instant) {
        self.put(key, seen, Some(now));
    }

    /// The watch is broken.
    pub(crate) fn broke(&mut self, now: Instant, error: String) {
        self.listing = None;
        match &mut self.broken {
            Some((_, last)) => *last = error,
            none @ None => *none = Some((now, error)),
        }
    }

    /// One object, as last seen, however old the view.
    pub(crate) fn get(&self, key: &K) -> Option<&Seen<V>> {
        self.entries.get(key).map(|entry| &entry.seen)
    }

    /// Everything, if the view is complete and has not been broken for longer than `bound`.
    pub(crate) fn read(&self, now: Instant, bound: Duration) -> Result<BTreeMap<K, V>, Blind> {
        let broken = self.broken.as_ref();
        if !self.synchronised {
            return Err(Blind::NotSynchronised(broken.map(|(_, error)| error.clone())));
        }
        if let Some((since, error)) = broken
            && now.duration_since(*since) > bound
        {
            return Err(Blind::Stale(now.duration_since(*since), Some(error.clone())));
        }
        Ok(self.entries.iter().map(|(key, entry)| (key.clone(), entry.seen.value.clone())).collect())
    }

    fn put(&mut self, key: K, seen: Seen<V>, written: Option<Instant>) -> bool {
        if self.gone.contains_key(&seen.uid) {
            return false;
        }
        match self.entries.get_mut(&key) {
            Some(entry) if seen.version < entry.seen.version => false,
            Some(entry) => {
                let changed = entry.seen.value != seen.value;
                *entry = Entry { seen, written: written.or(entry.written) };
                changed
            }
            None => {
                self.entries.insert(key, Entry { seen, written });
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(30);

    fn seen(uid: &str, version: u64, value: u8) -> Seen<u8> {
        Seen { uid: uid.to_owned(), version, value }
    }

    fn synchronised(now: Instant, objects: &[(&'static str, Seen<u8>)]) -> View<&'static str, u8> {
        let mut view = View::new();
        relist(&mut view, now, objects);
        view
    }

    fn relist(view: &mut View<&'static str, u8>, now: Instant, objects: &[(&'static str, Seen<u8>)]) -> bool {
        view.begin(now);
        for (key, seen) in objects {
            view.listed(key, seen.clone());
        }
        view.complete()
    }

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn nothing_is_known_before_the_first_listing_is_complete() {
        let now = Instant::now();
        let mut view = View::new();
        view.begin(now);
        view.listed("a", seen("1", 1, 1));
        assert!(matches!(view.read(now, BOUND), Err(Blind::NotSynchronised(None))));
        assert!(view.complete(), "the first listing is news even where it is empty");
        assert_eq!(view.read(now, BOUND).unwrap(), BTreeMap::from([("a", 1)]));
    }

    #[test]
    fn a_view_is_trusted_for_a_while_after_the_watch_broke() {
        let now = Instant::now();
        let mut view = synchronised(now, &[("a", seen("1", 1, 1))]);
        view.broke(now, "first".into());
        view.broke(after(now, 20), "second".into());
        assert!(view.read(after(now, 30), BOUND).is_ok());
        let blind = view.read(after(now, 31), BOUND).unwrap_err();
        assert_eq!(blind.to_string(), "the watch has been broken for 31s: second");
        assert!(!relist(&mut view, after(now, 40), &[("a", seen("1", 1, 1))]));
        assert!(view.read(after(now, 40), BOUND).is_err(), "a listing is no watch");
        assert!(view.works(), "sight regained is news");
        assert!(!view.works());
        assert!(view.read(after(now, 90), BOUND).is_ok());
    }

    #[test]
    fn our_own_write_is_seen_before_the_watch_shows_it() {
        let now = Instant::now();
        let mut view = synchronised(now, &[]);
        view.wrote("a", seen("1", 5, 1), now);
        assert_eq!(view.read(now, BOUND).unwrap().len(), 1);
        assert!(!view.apply("a", seen("1", 5, 1)), "the watch tells nothing new");
        assert!(view.apply("a", seen("1", 6, 2)));
    }

    #[test]
    fn an_older_event_does_not_undo_our_write() {
        let now = Instant::now();
        let mut view = synchronised(now, &[("a", seen("1", 1, 1))]);
        view.wrote("a", seen("1", 5, 2), now);
        assert!(!view.apply("a", seen("1", 3, 1)));
        assert_eq!(view.read(now, BOUND).unwrap()["a"], 2);
    }

    #[test]
    fn a_listing_that_began_before_our_write_does_not_hide_it() {
        let now = Instant::now();
        let mut view = synchronised(now, &[]);
        view.begin(now);
        view.wrote("a", seen("1", 5, 1), after(now, 1));
        view.complete();
        assert_eq!(view.read(now, BOUND).unwrap().len(), 1);
        relist(&mut view, after(now, 2), &[]);
        assert_eq!(view.read(now, BOUND).unwrap().len(), 0, "a later listing is believed");
    }

    #[test]
    fn what_was_deleted_does_not_come_back_by_an_overtaken_answer() {
        let now = Instant::now();
        let mut view = synchronised(now, &[]);
        assert!(!view.delete(&"a", "1", now));
        view.wrote("a", seen("1", 5, 1), now);
        assert!(!view.apply("a", seen("1", 5, 1)));
        assert!(view.read(now, BOUND).unwrap().is_empty());
        view.wrote("a", seen("2", 7, 2), now);
        assert_eq!(view.read(now, BOUND).unwrap()["a"], 2, "its successor is another object");
    }

    #[test]
    fn deleting_one_object_spares_its_successor() {
        let now = Instant::now();
        let mut view = synchronised(now, &[("a", seen("2", 7, 2))]);
        assert!(!view.delete(&"a", "1", now));
        assert!(view.delete(&"a", "2", now));
    }

    #[test]
    fn a_listing_without_news_wakes_nobody() {
        let now = Instant::now();
        let mut view = synchronised(now, &[("a", seen("1", 1, 1))]);
        assert!(!relist(&mut view, after(now, 1), &[("a", seen("1", 9, 1))]));
        assert!(relist(&mut view, after(now, 1), &[("a", seen("1", 9, 2))]));
        assert!(relist(&mut view, after(now, 1), &[]));
    }
}
