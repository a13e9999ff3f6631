//! Long histories: logs lose their beginnings, and checkers forget them.

use super::*;

#[test]
fn an_empty_log_may_begin_where_retention_has_been_and_only_there() {
    for (trimmed, codes) in [(true, &[][..]), (false, &["R8"])] {
        let mut t = Script::new();
        for (id, base) in records(1, 3).iter().zip(0..) {
            t.append(&[B1, B2], base, &batch(base, 0, &[*id]));
        }
        t.change(isr(&[B1, B2]));
        t.mark(B1, 0, 3, true);
        if trimmed {
            t.effect(B1, Effect::Trim { log: DATA, to: Offset(2) });
        }
        t.mark(B3, 0, 2, false);
        assert_eq!(t.codes(), codes);
    }
}

#[test]
fn what_retention_removed_is_forgotten_and_what_is_kept_is_still_judged() {
    let mut t = Script::new();
    let ids = records(1, 3);
    for (id, base) in ids.iter().zip(0..) {
        t.append(&[B1, B2, B3], base, &batch(base, 0, &[*id]));
    }
    t.mark(B1, 0, 3, true);
    assert_eq!(t.checkers.size().1, 3);
    for node in [B1, B2, B3] {
        t.effect(node, Effect::Trim { log: DATA, to: Offset(2) });
    }
    assert_eq!(t.checkers.size().1, 1);
    t.acknowledged(ids[0], 0);
    t.expect_nothing();
    t.acknowledged(ids[1], 2);
    assert_eq!(t.codes(), ["P4"]);
}
