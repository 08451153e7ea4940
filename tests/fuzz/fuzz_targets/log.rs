//! A recorded log: any file is read, or refused with a sentence; rows are read or counted.
#![no_main]

use std::io::{Seek, Write};
use std::sync::{LazyLock, Mutex};

use laboratory::log::{Log, Options};
use libfuzzer_sys::fuzz_target;

static FILE: LazyLock<Mutex<tempfile::NamedTempFile>> =
    LazyLock::new(|| Mutex::new(tempfile::NamedTempFile::new().expect("a temporary file opens")));

fuzz_target!(|bytes: &[u8]| {
    let mut file = FILE.lock().expect("nobody panicked");
    file.as_file().set_len(0).expect("it is ours");
    file.rewind().expect("it is a file");
    file.write_all(bytes).expect("there is room");
    let columns = "user=user,item=item,time=time,type=type,value=value,title=title,category=category,price=price";
    for no_header in [false, true] {
        let columns = if no_header { "user=1,item=2,time=3" } else { columns };
        let options = Options { no_header, ..Options::new(columns.parse().expect("columns")) };
        match Log::open(file.path(), &options, |_| ()) {
            Ok(log) => {
                let skipped: u64 = log.skipped.values().sum();
                assert_eq!(log.rows, log.len() as u64 + skipped, "every row is an event or is counted");
                let mut last = i64::MIN;
                for event in log.events() {
                    assert!(event.ts.0 >= last, "events come in the order of their times");
                    last = event.ts.0;
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
