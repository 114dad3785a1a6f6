//! The catalog is consistent.

use super::*;

#[test]
fn signal_tables_have_their_entities() {
    for table in TABLES.iter().filter(|table| table.columns.iter().any(|column| column.name == "signal_source")) {
        let entities: Vec<_> =
            table.columns.iter().filter(|column| column.kind == Kind::Entity).map(|column| column.name).collect();
        let want: &[&str] = match table.sides {
            Sides::Two => &["client_entity", "server_entity"],
            Sides::One => &["entity"],
            Sides::None => panic!("{} is a signal table without an entity", table.name),
        };
        assert_eq!(entities, want, "{}", table.name);
    }
}

#[test]
fn names_are_unique_and_documented() {
    for table in TABLES {
        let mut names: Vec<_> = table.columns.iter().map(|column| column.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), table.columns.len(), "{} repeats a column", table.name);
        for column in table.columns {
            assert!(column.doc.ends_with('.') || column.doc.contains("{}"), "{}.{}", table.name, column.name);
        }
    }
}

#[test]
fn every_key_of_a_rolled_up_table_is_in_its_order() {
    for table in TABLES.iter().filter(|table| !table.rollups.is_empty()) {
        for column in table.columns.iter().filter(|column| column.merge == Merge::Key) {
            assert!(table.order_by.contains(column.name), "{}: {} would be merged away", table.name, column.name);
        }
    }
}

#[test]
fn ddl_of_a_rollup() {
    let [target, view] = rollup_ddl(&APPLICATION_MAP, &APPLICATION_MAP.rollups[0]);
    assert!(target.contains("`rrt_sketch` SimpleAggregateFunction(sumMap, Map(Int16, UInt64))"), "{target}");
    assert!(view.contains("sum(`request`) AS `request`"), "{view}");
    assert!(view.contains("bucket AS time"), "{view}");
}
