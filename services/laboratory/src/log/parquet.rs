//! Reads Parquet: only the columns that were named, row by row.

use std::fmt::Write;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, TimeUnit};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;

use super::columns::{Columns, ROLES, Role};
use super::skip::Skip;
use super::table::{Moment, Raw, Table};
use super::{LogError, Options, Progress};
use crate::shown;

/// How often progress is told, in rows.
const PROGRESS_ROWS: u64 = 16_384;

/// Reads every row of `file` into `table`.
pub(super) fn read(
    path: &Path,
    file: File,
    options: &Options,
    table: &mut Table,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), LogError> {
    if options.no_header || options.delimiter.is_some() {
        let why = "is Parquet, which has names and no delimiter: leave --no-header and --delimiter out";
        return Err(LogError::refused(path, why));
    }
    // Damaged files have made the library panic: what it was reading is given up with it.
    let outcome = catch_unwind(AssertUnwindSafe(|| rows(path, file, &options.columns, table, progress)));
    outcome.unwrap_or_else(|_| Err(broken(path, 0, "it is damaged; copy or download it once more")))
}

fn broken(path: &Path, rows: u64, detail: impl std::fmt::Display) -> LogError {
    let detail: String = detail.to_string().chars().take(300).collect();
    LogError::Read { path: path.to_owned(), rows, detail }
}

fn rows(
    path: &Path,
    file: File,
    columns: &Columns,
    table: &mut Table,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), LogError> {
    let failed = |rows, error: ParquetError| broken(path, rows, format!("{error}; it may be cut off or damaged"));
    let reader = SerializedFileReader::new(file).map_err(|error| failed(0, error))?;
    let described = reader.metadata();
    let (expected, schema) = (described.file_metadata().num_rows().max(1) as f64, described.file_metadata().schema());
    let wanted = |field: &Type| Role::ALL.iter().any(|role| columns.get(*role) == Some(field.name()));
    let fields: Vec<_> = schema.get_fields().iter().filter(|field| wanted(field)).cloned().collect();
    let at = resolve(path, columns, schema, &fields)?;
    codecs(path, columns, described)?;
    let nanos = fields.iter().any(|field| {
        columns.get(Role::Time) == Some(field.name())
            && matches!(field.get_basic_info().logical_type_ref(), Some(LogicalType::Timestamp(time)) if time.unit == TimeUnit::NANOS)
    });
    let projection = project(schema.name(), fields).map_err(|error| failed(0, error))?;

    let mut texts: [String; ROLES] = Default::default();
    for row in RowIter::from_file(Some(projection), &reader).map_err(|error| failed(0, error))? {
        let row = row.map_err(|error| failed(table.rows, error))?;
        push(&row, &at, nanos, &mut texts, table);
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

/// Where the columns are among `fields`, each of which must be there once and hold one value a row.
fn resolve(
    path: &Path,
    columns: &Columns,
    schema: &Type,
    fields: &[Arc<Type>],
) -> Result<[Option<usize>; ROLES], LogError> {
    let mut at = [None; ROLES];
    for role in Role::ALL {
        let Some(name) = columns.get(role) else { continue };
        let quoted = shown::quoted(name);
        let mut found = fields.iter().enumerate().filter(|(_, field)| field.name() == name);
        let Some((place, field)) = found.next() else {
            let have: Vec<&str> = schema.get_fields().iter().map(|field| field.name()).collect();
            let have = shown::some(have.into_iter());
            return Err(LogError::UnknownColumn { path: path.to_owned(), role, column: quoted, have });
        };
        if found.next().is_some() {
            let why = format!("has two columns of the name {quoted}: rename one of them");
            return Err(LogError::refused(path, why));
        }
        let about = field.get_basic_info();
        if field.is_group() || about.has_repetition() && about.repetition() == Repetition::REPEATED {
            let why = format!(
                "has lists or groups in the column {quoted}, and {role}= wants one value a row: write one event a row, \
                 such as by pandas' explode"
            );
            return Err(LogError::refused(path, why));
        }
        let is_time = matches!(about.converted_type(), ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS)
            || matches!(about.logical_type_ref(), Some(LogicalType::Time(_)));
        if is_time && role == Role::Time {
            let why = format!("has a time of the day without a date in the column {quoted}: name another for time=…");
            return Err(LogError::refused(path, why));
        }
        at[role as usize] = Some(place);
    }
    Ok(at)
}

/// Refuses what is packed by what is not built in.
fn codecs(path: &Path, columns: &Columns, described: &ParquetMetaData) -> Result<(), LogError> {
    let is_wanted = |name: &str| Role::ALL.iter().any(|role| columns.get(*role) == Some(name));
    for chunk in described.row_groups().iter().flat_map(parquet::file::metadata::RowGroupMetaData::columns) {
        let root = chunk.column_path().parts().first().map(String::as_str).unwrap_or_default();
        let name = match chunk.compression() {
            Compression::LZO => "LZO",
            Compression::LZ4 | Compression::LZ4_RAW => "LZ4",
            Compression::BROTLI(_) => "Brotli",
            _ => continue,
        };
        if is_wanted(root) {
            let why = format!("is Parquet packed with {name}, which is not read: write it with zstd, snappy or gzip");
            return Err(LogError::refused(path, why));
        }
    }
    Ok(())
}

fn push(row: &Row, at: &[Option<usize>; ROLES], nanos: bool, texts: &mut [String; ROLES], table: &mut Table) {
    let mut millis = None;
    for role in Role::ALL {
        let text = &mut texts[role as usize];
        text.clear();
        let field = at[role as usize].and_then(|at| row.get_column_iter().nth(at));
        match (role, field.map(|(_, field)| field)) {
            (_, None) => {}
            (Role::Time, Some(Field::TimestampMillis(ms))) => millis = Some(*ms),
            (Role::Time, Some(Field::TimestampMicros(us))) => millis = Some(us.div_euclid(1_000)),
            (Role::Time, Some(Field::Long(ns))) if nanos => millis = Some(ns.div_euclid(1_000_000)),
            (Role::Time, Some(Field::Date(days))) => millis = Some(i64::from(*days) * 86_400_000),
            (role, Some(Field::Bytes(bytes))) => match (bytes.as_utf8(), bytes.data()) {
                (Ok(plain), _) => text.push_str(plain),
                (Err(_), data) if data.len() == 16 => uuid(data, text),
                (Err(_), _) if role.is_content() => {}
                (Err(_), data) => {
                    let data = shown::quoted_bytes(data);
                    return table.skip(Skip::NotUtf8, || format!("{data} in the column for {role}; write ids as text"));
                }
            },
            (_, Some(field)) => spell(field, text),
        }
    }
    let optional = |role: Role| at[role as usize].map(|_| texts[role as usize].as_str());
    table.take(Raw {
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
    });
}

/// Sixteen bytes that are no text are a UUID (RFC 9562).
fn uuid(bytes: &[u8], text: &mut String) {
    for (n, byte) in bytes.iter().enumerate() {
        let dash = if matches!(n, 4 | 6 | 8 | 10) { "-" } else { "" };
        write!(text, "{dash}{byte:02x}").expect("writing to a string cannot fail");
    }
}

/// A field as the text a CSV would have, numbers as ids are spelled; null, lists and groups are nothing.
fn spell(field: &Field, text: &mut String) {
    let mut number = |literal: String| {
        text.push_str(&schemas::vocabulary::number_as_id(&literal).unwrap_or(literal));
    };
    match field {
        Field::Float16(value) => number(format!("{:?}", f32::from(*value))),
        Field::Float(value) => number(format!("{value:?}")),
        Field::Double(value) => number(format!("{value:?}")),
        decimal @ Field::Decimal(_) => number(decimal.to_string()),
        Field::Str(value) => text.push_str(value),
        Field::Bool(_)
        | Field::Byte(_)
        | Field::Short(_)
        | Field::Int(_)
        | Field::Long(_)
        | Field::UByte(_)
        | Field::UShort(_)
        | Field::UInt(_)
        | Field::ULong(_) => write!(text, "{field}").expect("writing to a string cannot fail"),
        _ => {}
    }
}
