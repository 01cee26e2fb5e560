//! The record file through its door.

#[cfg(test)]
mod tests {
    use meta::{Error, Meta, Read, Table};

    const NUMBERS: Table<u64> = Table::new("numbers");
    const WORDS: Table<String> = Table::new("words");

    fn file() -> (tempdir::Dir, Meta) {
        let dir = tempdir::Dir::new();
        let meta = Meta::open(&dir.path().join("meta.redb")).unwrap();
        (dir, meta)
    }

    mod tempdir {
        use std::path::{Path, PathBuf};
        use std::sync::atomic::{AtomicU32, Ordering};

        static NEXT: AtomicU32 = AtomicU32::new(0);

        #[derive(Debug)]
        pub(super) struct Dir(PathBuf);

        impl Dir {
            pub(super) fn new() -> Self {
                let n = NEXT.fetch_add(1, Ordering::Relaxed);
                let path = std::env::temp_dir().join(format!("meta-{}-{n}", std::process::id()));
                std::fs::create_dir_all(&path).unwrap();
                Self(path)
            }

            pub(super) fn path(&self) -> &Path {
                &self.0
            }
        }

        impl Drop for Dir {
            #[expect(clippy::disallowed_methods, reason = "a directory that this test made")]
            fn drop(&mut self) {
                std::fs::remove_dir_all(&self.0).unwrap();
            }
        }
    }

    #[test]
    fn a_change_is_seen_whole_or_not_at_all() {
        let (_dir, meta) = file();
        meta.write(|txn| {
            txn.put(&NUMBERS, "a", &1)?;
            txn.put(&WORDS, "a", &"one".to_owned())?;
            assert_eq!(txn.get(&NUMBERS, "a")?, Some(1));
            Ok::<_, Error>(())
        })
        .unwrap();
        let failed = meta.write(|txn| {
            txn.put(&NUMBERS, "a", &2)?;
            txn.delete(&WORDS, "a")?;
            Err::<(), _>(Error::ReadOnly("test".to_owned()))
        });
        assert!(failed.is_err());
        let view = meta.read().unwrap();
        assert_eq!(view.get(&NUMBERS, "a").unwrap(), Some(1));
        assert_eq!(
            view.scan(&WORDS).unwrap(),
            [("a".to_owned(), "one".to_owned())]
        );
        assert_eq!(view.get(&NUMBERS, "b").unwrap(), None);
    }

    #[test]
    fn changes_of_many_threads_build_on_each_other() {
        let (dir, meta) = file();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        meta.write(|txn| {
                            let n = txn.get(&NUMBERS, "n")?.unwrap_or(0);
                            txn.put(&NUMBERS, "n", &(n + 1))?;
                            txn.put(&NUMBERS, &format!("{n:03}"), &n)?;
                            assert_eq!(txn.scan(&NUMBERS)?.len() as u64, n + 2);
                            Ok::<_, Error>(())
                        })
                        .unwrap();
                    }
                });
            }
        });
        drop(meta);
        let meta = Meta::open(&dir.path().join("meta.redb")).unwrap();
        assert_eq!(meta.read().unwrap().get(&NUMBERS, "n").unwrap(), Some(200));
    }

    #[test]
    fn a_second_owner_is_refused() {
        let (dir, _meta) = file();
        assert!(matches!(
            Meta::open(&dir.path().join("meta.redb")),
            Err(Error::Open { .. })
        ));
    }
}
