use glassfs_recorder::event::*;
use glassfs_recorder::trace::*;
use std::sync::Arc;
use std::time::*;
fn ev(seq: u64) -> Event {
    Event {
        stream: 0,
        seq,
        ts_ns: 1_700_000_000_000_000_000 + seq as i64 * 50_000_000,
        duration_ns: 9000 + seq % 100,
        backing_ns: Some(3000),
        requests: 1,
        op: Op::Read,
        kind: Kind::Request,
        syscall_nr: None,
        origin: Origin::Program,
        plane: Plane::Daemon,
        path: Some(Arc::from(format!("/home/ana/x{}", seq % 100))),
        path2: None,
        offset: Some(seq * 4096),
        size: Some(4096),
        result: Some(4096),
        errno: 0,
        flags: Some(2),
        mode: None,
        ino: Some(seq % 100),
        dev: Some(4),
        fh: Some(seq),
        file_type: Some(FileType::Regular),
        pid: Some(1),
        tid: Some(1),
        uid: Some(0),
        gid: Some(0),
        comm: Some(Arc::from("x")),
    }
}
fn main() {
    let per: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let flushes: u64 = std::env::args().nth(2).unwrap().parse().unwrap();
    let mut s = Settings::new("/tmp/trace-tiny");
    s.segment_rows = 1_000_000;
    let mut t = Trace::create(s, About::new("x")).unwrap();
    let mut seq = 0;
    let st = Instant::now();
    for _ in 0..flushes {
        for _ in 0..per {
            t.push(ev(seq));
            seq += 1;
        }
        assert!(t.flush(Duration::from_secs(60)));
    }
    let e = st.elapsed();
    println!("{:.3} ms per flush of {per}", e.as_secs_f64() * 1e3 / flushes as f64);
    let st = Instant::now();
    t.close("x");
    println!("close {:?}", st.elapsed());
    let st = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", st.lines().find(|l| l.starts_with("VmHWM")).unwrap());
}
