//! Parameters that several calls share.

use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::ApiError;
use crate::agents::now_s;
use crate::map::fetch::Range;

/// Time range and filter.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(crate) struct RangeParams {
    /// Start in unix seconds; 15 minutes before `to` if absent.
    pub(crate) from: Option<f64>,
    /// End in unix seconds; now if absent.
    pub(crate) to: Option<f64>,
    /// Filter, for example `service = cart status = server_error`.
    #[param(required = false)]
    pub(crate) filter: String,
}

impl RangeParams {
    /// The range in whole seconds.
    pub(crate) fn range(&self) -> Result<Range, ApiError> {
        let to = self.to.unwrap_or_else(now_s);
        let from = self.from.unwrap_or(to - 900.0);
        let valid = |time: f64| time.is_finite() && (0.0..f64::from(u32::MAX)).contains(&time);
        if !valid(from) || !valid(to) || from >= to {
            return Err(ApiError::invalid("from and to are unix seconds, and from comes first"));
        }
        Ok(Range { from: from.floor() as u32, to: (to.ceil() as u32).max(from.floor() as u32 + 1) })
    }
}
