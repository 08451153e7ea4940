//! Reads Parquet: only the columns that were named, row by row.

use std::fmt::Write;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;

use super::columns::{Columns, ROLES, Role};
use super::table::{Moment, Raw, Table};
use super::{LogError, Progress};

/// How often progress is told, in rows.
const PROGRESS_ROWS: u64 = 16_384;

/// Reads every row of `file` into `table`.
pub(super) fn read(
    path: &Path,
    file: File,
    columns: &Columns,
    table: &mut Table,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), LogError> {
    let broken = |rows, error: ParquetError| LogError::Read { path: path.to_owned(), rows, detail: error.to_string() };
    let reader = SerializedFileReader::new(file).map_err(|error| broken(0, error))?;
    let described = reader.metadata().file_metadata();
    let (expected, schema) = (described.num_rows().max(1) as f64, described.schema());

    let wanted = |field: &Type| Role::ALL.iter().any(|role| columns.get(*role) == Some(field.name()));
    let fields: Vec<_> = schema.get_fields().iter().filter(|field| wanted(field)).cloned().collect();
    let at = columns.resolve(fields.iter().map(|field| field.name())).map_err(|(role, column)| {
        let have = schema.get_fields().iter().map(|field| field.name()).collect::<Vec<_>>().join(", ");
        LogError::UnknownColumn { path: path.to_owned(), role, column, have }
    })?;
    let projection = project(schema.name(), fields).map_err(|error| broken(0, error))?;

    let mut texts: [String; ROLES] = Default::default();
    for row in RowIter::from_file(Some(projection), &reader).map_err(|error| broken(0, error))? {
        let row = row.map_err(|error| broken(table.rows, error))?;
        push(&row, &at, &mut texts, table);
        if table.rows.is_multiple_of(PROGRESS_ROWS) {
            progress(Progress { rows: table.rows, share: (table.rows as f64 / expected).min(1.0) });
        }
    }
    Ok(())
}

/// The file's schema cut down to `fields`.
fn project(name: &str, fields: Vec<Arc<Type>>) -> Result<Type, ParquetError> {
    Type::group_type_builder(name).with_fields(fields).build()
}

fn push(row: &Row, at: &[Option<usize>; ROLES], texts: &mut [String; ROLES], table: &mut Table) {
    let mut millis = None;
    for role in Role::ALL {
        let text = &mut texts[role as usize];
        text.clear();
        let field = at[role as usize].and_then(|at| row.get_column_iter().nth(at));
        match (role, field.map(|(_, field)| field)) {
            (_, None) => {}
            (Role::Time, Some(Field::TimestampMillis(ms))) => millis = Some(*ms),
            (Role::Time, Some(Field::TimestampMicros(us))) => millis = Some(us.div_euclid(1_000)),
            (Role::Time, Some(Field::Date(days))) => millis = Some(i64::from(*days) * 86_400_000),
            (_, Some(field)) => spell(field, text),
        }
    }
    let optional = |role: Role| at[role as usize].map(|_| texts[role as usize].as_str());
    table.push(Some(Raw {
        user: &texts[Role::User as usize],
        item: &texts[Role::Item as usize],
        time: match (millis, optional(Role::Time)) {
            (Some(millis), _) => Moment::Millis(millis),
            (None, Some(text)) => Moment::Text(text),
            (None, None) => Moment::Place,
        },
        session: optional(Role::Session),
        kind: optional(Role::Type),
        value: optional(Role::Value),
        content: Role::CONTENT.map(optional),
    }));
}

/// A field as the text a CSV would have; null, lists and groups are nothing.
fn spell(field: &Field, text: &mut String) {
    let done = match field {
        Field::Str(value) => write!(text, "{value}"),
        Field::Bytes(value) => write!(text, "{}", value.as_utf8().unwrap_or_default()),
        Field::Bool(value) => write!(text, "{value}"),
        Field::Byte(value) => write!(text, "{value}"),
        Field::Short(value) => write!(text, "{value}"),
        Field::Int(value) => write!(text, "{value}"),
        Field::Long(value) => write!(text, "{value}"),
        Field::UByte(value) => write!(text, "{value}"),
        Field::UShort(value) => write!(text, "{value}"),
        Field::UInt(value) => write!(text, "{value}"),
        Field::ULong(value) => write!(text, "{value}"),
        Field::Float(value) => write!(text, "{value:?}"),
        Field::Double(value) => write!(text, "{value:?}"),
        decimal @ Field::Decimal(_) => write!(text, "{decimal}"),
        _ => Ok(()),
    };
    done.expect("writing to a string cannot fail");
}
