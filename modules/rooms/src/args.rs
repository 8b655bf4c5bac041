//! The argument list of a request, read from the text that came, so that values in it can be kept as they were written.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};

/// The event's name, the request, and whatever a client puts behind it: what is kept is the request, if there is one.
pub(crate) struct Args<T>(pub(crate) Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Args<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
            type Value = Option<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an argument list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                list.next_element::<IgnoredAny>()?;
                let request = list.next_element()?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(request)
            }
        }
        Ok(Self(deserializer.deserialize_seq(List(PhantomData))?))
    }
}
