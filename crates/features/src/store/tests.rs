use super::*;
use std::collections::BTreeMap;
use std::process::Command;
use tempfile::TempDir;

fn open(limit: Option<u64>) -> (TempDir, Store) {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(&root.path().join("cache"), limit).unwrap();
    (root, store)
}

fn key(number: u32) -> Key {
    crate::KeyBuilder::new("test")
        .part("number", number.to_le_bytes())
        .finish()
}

/// Frames that differ by number.
fn frames(number: u32) -> Array {
    let value = |i: u16| f32::from(i) + f32::from(u16::try_from(number).unwrap()) / 3.0;
    Array::new([4, 3], (0..12).map(value).collect::<Vec<_>>()).unwrap()
}

fn put(store: &Store, number: u32) {
    store
        .put(&key(number), &frames(number), Precision::F32, &Origin::default())
        .unwrap();
}

fn read(store: &Store, number: u32) -> Option<Array> {
    store.get(&key(number)).unwrap().entry().map(|entry| entry.read())
}

/// When the entry was last used, as the file system tells.
fn used(store: &Store, number: u32) -> SystemTime {
    fs::metadata(store.path(&key(number))).unwrap().modified().unwrap()
}

fn set_used(path: &Path, ago: Duration) {
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(SystemTime::now() - ago)
        .unwrap();
}

#[test]
fn a_feature_comes_back_as_it_was_rounded() {
    let (_root, store) = open(None);
    assert!(matches!(store.get(&key(0)).unwrap(), Lookup::Miss));
    let values = [0.1, -2.5, 3.0e-5, 1000.3, -0.0, 6.0e-8];
    let shapes = [vec![6], vec![3, 2], vec![2, 1, 3]];
    for (number, shape) in (0..).zip(&shapes) {
        for precision in [Precision::F16, Precision::F32] {
            let array = Array::new(shape.clone(), values.to_vec()).unwrap();
            let removed = store.put(&key(number), &array, precision, &Origin::default()).unwrap();
            assert_eq!(removed, Removed::default());
            let entry = store.get(&key(number)).unwrap().entry().unwrap();
            assert_eq!((entry.shape(), entry.precision()), (shape.as_slice(), precision));
            assert_eq!(entry.read(), array.rounded(precision).unwrap());
        }
    }
    let none = Array::new([0, 5], Vec::new()).unwrap();
    store.put(&key(9), &none, Precision::F32, &Origin::default()).unwrap();
    assert_eq!(read(&store, 9), Some(none));
    let beyond = Array::new([1], vec![1e6]).unwrap();
    let error = store
        .put(&key(10), &beyond, Precision::F16, &Origin::default())
        .unwrap_err();
    assert!(matches!(error, StoreError::Value(_)));
    assert!(read(&store, 10).is_none());
}

#[test]
fn each_flipped_bit_is_found_and_the_entry_written_anew() {
    let (_root, store) = open(None);
    put(&store, 0);
    let path = store.path(&key(0));
    let bytes = fs::read(&path).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &flipped).unwrap();
        let Lookup::Damaged(damage) = store.get(&key(0)).unwrap() else {
            panic!("bit {bit} was not noticed");
        };
        assert_eq!(damage.path, path);
        assert!(matches!(store.get(&key(0)).unwrap(), Lookup::Miss));
    }
    assert_eq!(store.stats().unwrap().damaged.entries, 1);
    put(&store, 0);
    assert_eq!(read(&store, 0), Some(frames(0)));
    let removed = store.gc(u64::MAX).unwrap();
    assert_eq!((removed.damaged, removed.entries), (1, 0));
    assert_eq!(store.stats().unwrap().damaged.entries, 0);
}

#[test]
fn an_entry_of_another_length_is_found() {
    let (_root, store) = open(None);
    put(&store, 0);
    let path = store.path(&key(0));
    let bytes = fs::read(&path).unwrap();
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        assert!(
            matches!(store.get(&key(0)).unwrap(), Lookup::Damaged(_)),
            "{length} bytes"
        );
    }
    fs::write(&path, [bytes.as_slice(), &[0]].concat()).unwrap();
    assert!(matches!(store.get(&key(0)).unwrap(), Lookup::Damaged(_)));
}

#[test]
fn an_entry_under_the_name_of_another_is_not_used() {
    let (_root, store) = open(None);
    put(&store, 0);
    put(&store, 1);
    fs::copy(store.path(&key(0)), store.path(&key(1))).unwrap();
    let Lookup::Damaged(damage) = store.get(&key(1)).unwrap() else {
        panic!("another feature was given");
    };
    assert_eq!(damage.reason, "it belongs to another key");
    assert!(
        damage.to_string().ends_with("it is set aside and computed again"),
        "{damage}"
    );
}

#[test]
fn a_header_that_was_hashed_but_makes_no_sense_is_refused() {
    let (_root, store) = open(None);
    put(&store, 0);
    let path = store.path(&key(0));
    let bytes = fs::read(&path).unwrap();
    let content = bytes.len() - 32;
    for at in 0..72 {
        for value in [0, 1, 2, 3, 4, 5, 0x7f, 0xff] {
            let mut changed = bytes.clone();
            changed[at] = value;
            let hash = blake3::hash(&changed[..content]);
            changed[content..].copy_from_slice(hash.as_bytes());
            fs::write(&path, &changed).unwrap();
            let found = store.get(&key(0)).unwrap();
            assert_eq!(found.entry().is_some(), changed == bytes, "byte {at} is {value}");
        }
    }
}

/// Puts every entry and reads it again, in an order of its own.
fn fill(store: &Store, seed: u32) {
    for step in 0..100_u32 {
        let number = (step * 37 + seed * 13) % 100;
        match store.get(&key(number)).unwrap() {
            Lookup::Hit(entry) => assert_eq!(entry.read(), frames(number)),
            Lookup::Miss => put(store, number),
            Lookup::Damaged(damage) => panic!("{damage}"),
        }
        assert_eq!(read(store, number), Some(frames(number)));
    }
}

/// The folder that the test below gives to a second process running this test.
const SHARED: &str = "EMORUN_TEST_SHARED_CACHE";

#[test]
fn fills_the_cache_of_another_process_when_told_to() {
    if let Some(root) = std::env::var_os(SHARED) {
        let store = Store::open(Path::new(&root), None).unwrap();
        (0..10).for_each(|seed| fill(&store, seed));
    }
}

#[test]
fn processes_and_threads_fill_the_same_keys_at_once() {
    let (_root, store) = open(None);
    let mut others: Vec<_> = (0..2)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "store::tests::fills_the_cache_of_another_process_when_told_to",
                ])
                .env(SHARED, store.root())
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let store = &store;
            scope.spawn(move || fill(store, seed));
        }
    });
    for other in &mut others {
        assert!(other.wait().unwrap().success());
    }
    let stats = store.stats().unwrap();
    assert_eq!(
        (stats.all.entries, stats.damaged.entries, stats.unfinished.entries),
        (100, 0, 0)
    );
}

#[test]
fn what_was_not_used_for_longest_is_removed_first() {
    let (_root, store) = open(None);
    let hour = Duration::from_secs(3600);
    for number in 0..6 {
        put(&store, number);
        set_used(&store.path(&key(number)), hour * (10 - number));
    }
    // Reading makes the oldest the newest.
    let entry = store.get(&key(0)).unwrap().entry().unwrap();
    let size = store.stats().unwrap().all.bytes / 6;
    let removed = store.gc(3 * size).unwrap();
    let expected = Removed {
        entries: 3,
        bytes: 3 * size,
        ..Removed::default()
    };
    assert_eq!(removed, expected);
    let left: Vec<u32> = (0..6).filter(|number| read(&store, *number).is_some()).collect();
    assert_eq!(left, [0, 4, 5]);
    assert_eq!(store.gc(0).unwrap().recent, 3, "all three were read just now");
    assert_eq!(store.stats().unwrap(), Stats::default());
    assert_eq!(entry.read(), frames(0), "a mapping outlives its entry");
}

#[test]
fn use_is_noted_once_an_hour() {
    let (_root, store) = open(None);
    put(&store, 0);
    for (minutes, noted) in [(50, false), (70, true)] {
        let ago = Duration::from_secs(minutes * 60);
        set_used(&store.path(&key(0)), ago);
        assert!(read(&store, 0).is_some());
        assert_eq!(used(&store, 0).elapsed().unwrap() < ago / 2, noted, "{minutes} minutes");
    }
}

#[test]
fn only_stale_files_of_the_cache_itself_are_removed() {
    let (_root, store) = open(None);
    put(&store, 0);
    let folder = store.path(&key(0)).parent().unwrap().to_owned();
    let foreign = [
        store.root().join("notes.txt"),
        folder.join("notes.feat"),
        folder.join("notes.txt"),
    ];
    for path in &foreign {
        fs::write(path, "x").unwrap();
        set_used(path, Duration::from_secs(1_000_000));
    }
    for (name, hours) in [("old", 25), ("new", 23)] {
        let path = folder.join(format!(".writing-{name}"));
        fs::write(&path, "x").unwrap();
        set_used(&path, Duration::from_secs(hours * 3600));
    }
    assert_eq!(store.stats().unwrap().unfinished, Usage { entries: 2, bytes: 2 });
    let removed = store.gc(0).unwrap();
    assert_eq!((removed.entries, removed.unfinished), (1, 1));
    assert!(folder.join(".writing-new").exists());
    assert!(foreign.iter().all(|path| path.exists()));
}

#[test]
fn the_limit_holds_while_two_fill_the_cache() {
    let size = {
        let (_root, store) = open(None);
        put(&store, 0);
        store.stats().unwrap().all.bytes
    };
    let limit = 64 * size;
    let (_root, store) = open(Some(limit));
    let other = Store::open(store.root(), Some(limit)).unwrap();
    let (mut removed, mut most) = (0, 0);
    for number in 0..400 {
        let by = if number % 3 == 0 { &other } else { &store };
        let origin = Origin::default();
        removed += by
            .put(&key(number), &frames(number), Precision::F32, &origin)
            .unwrap()
            .entries;
        most = most.max(store.stats().unwrap().all.bytes);
    }
    let left = store.stats().unwrap().all;
    assert_eq!(left.entries + removed, 400);
    // Each may write a sixteenth unseen.
    assert!(most <= limit + 2 * limit / 16, "{most} of {limit}");
    assert!(left.bytes > limit * 3 / 4, "{left:?}");
    let large = Array::new([100, 1000], vec![0.0; 100_000]).unwrap();
    let error = store
        .put(&key(0), &large, Precision::F16, &Origin::default())
        .unwrap_err();
    assert!(
        matches!(error, StoreError::TooLarge { bytes: 200_000.., .. }),
        "{error}"
    );
}

#[test]
fn origins_group_the_statistics() {
    let (_root, store) = open(None);
    let origin = |kind: &str, source: &str| Origin {
        kind: kind.to_owned(),
        source: source.to_owned(),
    };
    let long = "ä".repeat(5000);
    for (number, origin) in (0..).zip([
        origin("hubert", "a"),
        origin("hubert", "b"),
        origin("hubert", "a"),
        origin("\0", &long),
    ]) {
        store
            .put(&key(number), &frames(number), Precision::F16, &origin)
            .unwrap();
    }
    let stats = store.stats().unwrap();
    let counts: BTreeMap<Origin, u64> = stats
        .by_origin
        .iter()
        .map(|(origin, usage)| (origin.clone(), usage.entries))
        .collect();
    let cut = "ä".repeat(512);
    let expected = [
        (origin("\0", &cut), 1),
        (origin("hubert", "a"), 2),
        (origin("hubert", "b"), 1),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
    assert_eq!(
        stats.by_origin.values().map(|usage| usage.bytes).sum::<u64>(),
        stats.all.bytes
    );
    assert!(stats.newest_use.unwrap() >= stats.oldest_use.unwrap());
    assert_eq!(read(&store, 3), Some(frames(3).rounded(Precision::F16).unwrap()));
}

#[test]
fn a_folder_that_cannot_be_written_to_is_an_error_that_names_it() {
    let (root, store) = open(None);
    let file = root.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = Store::open(&file.join("cache"), None).unwrap_err();
    assert!(error.to_string().contains("file/cache"), "{error}");
    // A file where the entry's folder should be; permissions do not bind root, under whom tests may run.
    let folder = store.path(&key(0)).parent().unwrap().to_owned();
    fs::write(&folder, "x").unwrap();
    let error = store
        .put(&key(0), &frames(0), Precision::F32, &Origin::default())
        .unwrap_err();
    assert!(matches!(error, StoreError::Write { .. }), "{error}");
    let name = format!("{:?}", store.root());
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot write to the feature cache {name}: ")),
        "{error}"
    );
    assert!(matches!(store.get(&key(0)), Err(StoreError::Read { .. })));
}

/// A file system of 64 KiB; none where it cannot be mounted.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(folder.path())
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg(self.0.path()).output().ok();
    }
}

#[test]
fn a_full_disk_is_an_error_that_names_the_folder_and_leaves_nothing() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: a tmpfs cannot be mounted here (needs root)");
        return;
    };
    let store = Store::open(disk.0.path(), None).unwrap();
    put(&store, 0);
    let large = Array::new([5000, 5], vec![0.0; 25_000]).unwrap();
    let error = store
        .put(&key(1), &large, Precision::F32, &Origin::default())
        .unwrap_err();
    let StoreError::Write { folder, source } = &error else {
        panic!("{error}");
    };
    assert_eq!(
        (folder.as_path(), source.kind()),
        (disk.0.path(), ErrorKind::StorageFull)
    );
    assert!(error.to_string().contains("make room there"), "{error}");
    let stats = store.stats().unwrap();
    assert_eq!((stats.all.entries, stats.unfinished.entries), (1, 0));
    put(&store, 2);
    assert_eq!(read(&store, 0), Some(frames(0)));
}
