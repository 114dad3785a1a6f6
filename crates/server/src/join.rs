//! Batches of one table become one. Pure.
//!
//! The engine wants each word of a dictionary once, and joining dictionaries end to end repeats them, so words are
//! merged here.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, SchemaRef};

/// All rows of `batches`, in order, each of which has this schema.
pub(crate) fn join(schema: &SchemaRef, batches: &[&RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let columns = schema.fields().iter().enumerate().map(|(index, field)| {
        let parts: Vec<&ArrayRef> = batches.iter().map(|batch| batch.column(index)).collect();
        match field.data_type() {
            DataType::Dictionary(..) => join_words(&parts),
            _ => arrow_select::concat::concat(&parts.iter().map(|part| part.as_ref()).collect::<Vec<_>>()),
        }
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)
}

fn join_words(parts: &[&ArrayRef]) -> Result<ArrayRef, ArrowError> {
    let mut words: Vec<&str> = Vec::new();
    let mut known: HashMap<&str, i32> = HashMap::new();
    let mut keys: Vec<i32> = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        let part = part.as_dictionary::<Int32Type>();
        let values = part.values().as_string::<i32>();
        let mut intern = |word| {
            *known.entry(word).or_insert_with(|| {
                words.push(word);
                words.len() as i32 - 1
            })
        };
        // One look-up per word, not per row.
        let merged: Vec<i32> = (0..values.len()).map(|index| intern(values.value(index))).collect();
        for key in part.keys().iter() {
            let word = key.and_then(|key| merged.get(key as usize).copied());
            keys.push(word.unwrap_or_else(|| intern("")));
        }
    }
    let words = Arc::new(StringArray::from(words));
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::from(keys), words)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::{Field, Schema};

    fn batch(words: &[&str], keys: &[i32]) -> RecordBatch {
        let kind = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let schema = Arc::new(Schema::new(vec![Field::new("word", kind, false)]));
        let words = Arc::new(StringArray::from(words.to_vec()));
        let column = DictionaryArray::<Int32Type>::new(Int32Array::from(keys.to_vec()), words);
        RecordBatch::try_new(schema, vec![Arc::new(column)]).unwrap()
    }

    #[test]
    fn each_word_is_there_once() {
        let (left, right) = (batch(&["a", "b"], &[0, 1, 0]), batch(&["b", "c", "b"], &[0, 1, 2]));
        let joined = join(&left.schema(), &[&left, &right]).unwrap();
        let column = joined.column(0).as_dictionary::<Int32Type>();
        assert_eq!(column.values().as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["a", "b", "c"]);
        let words = column.downcast_dict::<StringArray>().unwrap();
        assert_eq!(words.into_iter().flatten().collect::<Vec<_>>(), ["a", "b", "a", "b", "c", "b"]);
    }
}
