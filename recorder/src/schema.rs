//! `schema`: the words and columns of a trace as JSON, so that docs and readers follow the writer.

use glassfs_recorder::event::Op;
use glassfs_recorder::trace::columns::{SCHEMA_MAJOR, SCHEMA_MINOR, Table, columns};
use serde_json::{Map, Value, json};

pub fn schema() -> String {
    let ops: Vec<Value> = Op::ALL.iter().map(|op| json!({"op": op.word(), "class": op.class().word()})).collect();
    let tables: Map<String, Value> = Table::ALL
        .into_iter()
        .map(|table| {
            let of_table = columns().iter().filter(|column| column.table == table);
            let described = of_table.map(|column| {
                json!({"name": column.name, "type": column.kind, "nullable": column.nullable, "description": column.description})
            });
            (table.word().to_owned(), described.collect())
        })
        .collect();
    json!({"schema": {"major": SCHEMA_MAJOR, "minor": SCHEMA_MINOR}, "ops": ops, "tables": tables}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_op_and_every_column_is_told() {
        let told: Value = serde_json::from_str(&schema()).unwrap();
        assert_eq!(told["ops"].as_array().unwrap().len(), Op::ALL.len());
        let counted: usize =
            told["tables"].as_object().unwrap().values().map(|table| table.as_array().unwrap().len()).sum();
        assert_eq!(counted, columns().len());
    }
}
