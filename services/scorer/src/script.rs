//! The one write of a user's slate and profile: both or neither, and never over a newer one.

use std::time::Duration;

use runtime::redis::Script;
use schemas::Keys;

use crate::fit::Fitted;

/// Both keys have the hash tag `{user}`, so a cluster keeps them on one node.
///
/// A stored profile's header is its source: partition (u32) and offset (u64, in halves: a number of Lua is exact to 53
/// bits only), big-endian. Of the same partition, the higher offset has seen everything that the lower one has. Equal
/// offsets are the same write again, or a slate made anew.
const WRITE: &str = r"
local function is_ours(key)
  local held = redis.call('TYPE', key).ok
  return held == 'none' or held == 'string'
end
if not is_ours(KEYS[1]) then
  return redis.error_reply('WRONGTYPE a profile cannot be kept where somebody keeps something else')
end
local stored = redis.call('GETRANGE', KEYS[1], 0, 11)
if #stored == 12 then
  local partition, high, low = struct.unpack('>I4I4I4', stored)
  local our_partition, our_high, our_low = struct.unpack('>I4I4I4', ARGV[1])
  if partition == our_partition and (high > our_high or (high == our_high and low > our_low)) then
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if #ARGV[3] > 0 then
  if not is_ours(KEYS[2]) then
    return 2
  end
  redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
end
return 1
";

/// The script's answer where it refused.
pub(crate) const REFUSED: i64 = 0;
/// The script's answer where the key of the slate holds another type: the profile is written.
pub(crate) const WITHOUT_SLATE: i64 = 2;

/// Keys and arguments of one call.
pub(crate) type Call = (Vec<String>, Vec<Vec<u8>>);

/// The script; it answers 1 when it wrote, [`REFUSED`] or [`WITHOUT_SLATE`].
pub(crate) fn write() -> Script {
    Script::new(WRITE)
}

/// The call that writes what was fitted for `user`.
pub(crate) fn call(keys: &Keys, user: &str, fitted: Fitted, user_ttl: Duration, recs_ttl: Duration) -> Call {
    let ms = |ttl: Duration| ttl.as_millis().to_string().into_bytes();
    (vec![keys.user(user), keys.recs(user)], vec![fitted.profile, ms(user_ttl), fitted.slate, ms(recs_ttl)])
}

#[cfg(test)]
mod tests;
