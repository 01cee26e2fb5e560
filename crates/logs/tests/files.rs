//! Writer, reader and watcher on real files.

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::path::{Path, PathBuf};

    use logs::{Changed, Limits, Reader, Select, Stream, Watcher, Writer};

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("wharf-logs-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn log(&self) -> PathBuf {
            self.0.join("x-json.log")
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            for entry in std::fs::read_dir(&self.0).unwrap() {
                std::fs::remove_file(entry.unwrap().path()).unwrap();
            }
            std::fs::remove_dir(&self.0).unwrap();
        }
    }

    const UNLIMITED: Limits = Limits {
        max_size: 0,
        max_file: 1,
    };

    fn push(writer: &mut Writer, numbers: std::ops::Range<i64>) {
        for number in numbers {
            writer.push(number, Stream::Stdout, format!("{number}\n").as_bytes());
        }
        writer.flush();
    }

    fn numbers(reader: &mut Reader) -> Vec<i64> {
        std::iter::from_fn(|| reader.next_entry().unwrap())
            .map(|entry| {
                std::str::from_utf8(&entry.bytes)
                    .unwrap()
                    .trim()
                    .parse()
                    .unwrap()
            })
            .collect()
    }

    fn read(log: &Path, select: Select) -> Vec<i64> {
        numbers(&mut Reader::open(log, select, false).unwrap())
    }

    #[test]
    fn nothing_is_read_where_nothing_is() {
        let dir = Dir::new("nothing");
        assert!(read(&dir.log(), Select::default()).is_empty());
        let mut follower = Reader::open(&dir.log(), Select::default(), true).unwrap();
        assert!(numbers(&mut follower).is_empty());
        let mut writer = Writer::open(&dir.log(), UNLIMITED).unwrap();
        push(&mut writer, 0..2);
        assert_eq!(numbers(&mut follower), [0, 1]);
    }

    #[test]
    fn selects_by_tail_and_time() {
        let dir = Dir::new("select");
        // About 60 bytes an entry: several files, and several blocks for the tail.
        let limits = Limits {
            max_size: 20_000,
            max_file: 100,
        };
        let mut writer = Writer::open(&dir.log(), limits).unwrap();
        push(&mut writer, 0..2000);
        assert!(dir.0.join("x-json.log.5").exists());
        let all: Vec<_> = (0..2000).collect();
        assert_eq!(read(&dir.log(), Select::default()), all);
        for tail in [0, 1, 2, 300, 1999, 2000, 2001, u64::MAX] {
            let select = Select {
                tail: Some(tail),
                ..Select::default()
            };
            let from = 2000_usize.saturating_sub(usize::try_from(tail).unwrap());
            assert_eq!(read(&dir.log(), select), all[from..], "{tail}");
        }
        let select = Select {
            since_ns: Some(5),
            until_ns: Some(7),
            tail: None,
        };
        assert_eq!(read(&dir.log(), select), [5, 6, 7]);
        let select = Select {
            since_ns: Some(1995),
            until_ns: None,
            tail: Some(3),
        };
        assert_eq!(read(&dir.log(), select), [1997, 1998, 1999]);
    }

    #[test]
    fn rotation_keeps_so_many_files() {
        for max_file in [1, 3] {
            let dir = Dir::new(&format!("rotate{max_file}"));
            let mut writer = Writer::open(
                &dir.log(),
                Limits {
                    max_size: 1000,
                    max_file,
                },
            )
            .unwrap();
            push(&mut writer, 0..1000);
            let files = std::fs::read_dir(&dir.0).unwrap().count();
            assert_eq!(files, usize::try_from(max_file).unwrap());
            for entry in std::fs::read_dir(&dir.0).unwrap() {
                assert!(entry.unwrap().metadata().unwrap().len() < 1100);
            }
            let kept = read(&dir.log(), Select::default());
            assert_eq!(kept.last(), Some(&999));
            assert_eq!(kept, (kept[0]..1000).collect::<Vec<_>>());
            assert!(kept.len() < 100);
            // A new writer goes on where the last one ended.
            drop(writer);
            let mut writer = Writer::open(
                &dir.log(),
                Limits {
                    max_size: 1000,
                    max_file,
                },
            )
            .unwrap();
            push(&mut writer, 1000..1001);
            assert_eq!(read(&dir.log(), Select::default()).last(), Some(&1000));
        }
    }

    #[test]
    fn a_follower_loses_nothing_across_rotations() {
        for max_file in [1, 2, 5] {
            let dir = Dir::new(&format!("follow{max_file}"));
            let mut writer = Writer::open(
                &dir.log(),
                Limits {
                    max_size: 700,
                    max_file,
                },
            )
            .unwrap();
            let mut follower = Reader::open(&dir.log(), Select::default(), true).unwrap();
            let mut seen = Vec::new();
            // Less than a file between two reads, so that even one kept file loses nothing.
            for start in (0..2000).step_by(5) {
                push(&mut writer, start..start + 5);
                seen.extend(numbers(&mut follower));
            }
            assert_eq!(seen, (0..2000).collect::<Vec<_>>(), "{max_file}");
        }
    }

    #[test]
    fn a_slow_follower_goes_on_with_the_oldest_that_is_left() {
        let dir = Dir::new("slow");
        let mut writer = Writer::open(
            &dir.log(),
            Limits {
                max_size: 700,
                max_file: 3,
            },
        )
        .unwrap();
        push(&mut writer, 0..5);
        let mut follower = Reader::open(&dir.log(), Select::default(), true).unwrap();
        assert_eq!(numbers(&mut follower).len(), 5);
        push(&mut writer, 5..25);
        assert_eq!(numbers(&mut follower), (5..25).collect::<Vec<_>>());
        push(&mut writer, 25..1000);
        let seen = numbers(&mut follower);
        assert_eq!(seen.last(), Some(&999));
        assert!(seen.is_sorted() && seen.len() > 20);
    }

    #[test]
    fn entries_cut_short_are_skipped() {
        let dir = Dir::new("short");
        let mut writer = Writer::open(&dir.log(), UNLIMITED).unwrap();
        push(&mut writer, 0..1);
        sys::durable::append(&dir.log(), b"{\"log\":\"1\\n\",\"str\n", 0o600).unwrap();
        push(&mut writer, 2..3);
        sys::durable::append(&dir.log(), b"{\"log\":\"3", 0o600).unwrap();
        let mut follower = Reader::open(&dir.log(), Select::default(), true).unwrap();
        assert_eq!(numbers(&mut follower), [0, 2]);
        let rest = b"\\n\",\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:00Z\"}\n";
        sys::durable::append(&dir.log(), rest, 0o600).unwrap();
        assert_eq!(numbers(&mut follower), [3]);
    }

    #[test]
    fn a_full_disk_holds_nobody_up() {
        let mut writer = Writer::open(Path::new("/dev/full"), UNLIMITED).unwrap();
        push(&mut writer, 0..10);
        push(&mut writer, 10..11);
        assert_eq!(writer.lost(), 11);
    }

    #[test]
    fn one_watcher_serves_all_followers() {
        let (a, b) = (Dir::new("watch-a"), Dir::new("watch-b"));
        let watcher = Watcher::new().unwrap();
        let (first, again) = (
            watcher.add(&a.log()).unwrap(),
            watcher.add(&a.log()).unwrap(),
        );
        let other = watcher.add(&b.log()).unwrap();
        assert_eq!(first, again);
        assert_ne!(first, other);
        assert_eq!(watcher.read().unwrap(), []);
        let poll = sys::poll::Poll::new().unwrap();
        poll.add(watcher.as_fd(), 1, sys::poll::Interest::Read)
            .unwrap();
        let mut writer = Writer::open(
            &a.log(),
            Limits {
                max_size: 100,
                max_file: 2,
            },
        )
        .unwrap();
        push(&mut writer, 0..10);
        assert_eq!(poll.wait(None).unwrap().len(), 1);
        assert_eq!(watcher.read().unwrap(), [Changed::One(first)]);
        // Two followers: the watch stays for the second.
        watcher.remove(first);
        push(&mut writer, 10..11);
        assert_eq!(watcher.read().unwrap(), [Changed::One(first)]);
        watcher.remove(first);
        assert_eq!(watcher.read().unwrap(), [Changed::One(first)]);
        push(&mut writer, 11..12);
        assert_eq!(watcher.read().unwrap(), []);
    }
}
