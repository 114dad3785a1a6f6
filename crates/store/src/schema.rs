//! Creates and migrates the schema. Every step can be repeated, so a start that was interrupted is simply continued.

use hadal_model::catalog::{self, TABLES};

use crate::{Engine, Error, Format};

/// Version of the schema that this program writes.
pub const SCHEMA_VERSION: u32 = 1;

/// Brings the store to [`SCHEMA_VERSION`].
pub fn migrate(engine: &dyn Engine) -> Result<(), Error> {
    for database in catalog::DATABASES {
        engine.execute(&catalog::database_ddl(database))?;
    }
    engine.execute(
        "CREATE TABLE IF NOT EXISTS meta.schema_version (version UInt32, time DateTime DEFAULT now()) \
         ENGINE = MergeTree ORDER BY version",
    )?;
    let found = current_version(engine)?;
    if found > SCHEMA_VERSION {
        return Err(Error::SchemaTooNew { found, known: SCHEMA_VERSION });
    }
    create_tables(engine)?;
    if found < SCHEMA_VERSION {
        engine.execute(&format!("INSERT INTO meta.schema_version (version) VALUES ({SCHEMA_VERSION})"))?;
    }
    Ok(())
}

fn current_version(engine: &dyn Engine) -> Result<u32, Error> {
    let output = engine.query("SELECT max(version) FROM meta.schema_version", Format::Tsv)?;
    Ok(String::from_utf8_lossy(&output.bytes).trim().parse().unwrap_or(0))
}

/// The entity table and its dictionary come first: the tag columns of the others refer to it.
fn create_tables(engine: &dyn Engine) -> Result<(), Error> {
    engine.execute(&catalog::table_ddl(&catalog::ENTITY))?;
    engine.execute(&catalog::entity_dictionary_ddl())?;
    for function in catalog::user_function_ddl() {
        engine.execute(&function)?;
    }
    for table in TABLES {
        engine.execute(&catalog::table_ddl(table))?;
        // What is rolled up keeps its columns.
        if table.rollups.is_empty() {
            engine.execute(&catalog::added_columns_ddl(table))?;
        }
        for rollup in table.rollups {
            for statement in catalog::rollup_ddl(table, rollup) {
                engine.execute(&statement)?;
            }
        }
    }
    Ok(())
}
