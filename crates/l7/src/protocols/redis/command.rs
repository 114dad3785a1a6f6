//! What is known of Redis commands: which arguments are keys, which are secret, and how they are answered.

/// Which arguments are names (keys, channels) and not data. Position 1 is the first argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// None.
    None,
    /// All.
    All,
    /// The first so many.
    First(u64),
    /// All but the last so many.
    ButLast(u64),
    /// Every other one, from the first.
    Pairs,
    /// From this position on.
    From(u64),
}

/// Which commands have which names. (<https://redis.io/docs/latest/commands/>)
const COMMANDS: &[(Names, &str)] = &[
    (
        Names::First(1),
        "APPEND BITCOUNT BITFIELD BITFIELD_RO BITPOS DECR DECRBY DUMP EXPIRE EXPIREAT EXPIRETIME GEOADD GEODIST GEOHASH \
         GEOPOS GEORADIUS GEORADIUSBYMEMBER GEORADIUSBYMEMBER_RO GEORADIUS_RO GEOSEARCH GET GETBIT GETDEL GETEX GETRANGE \
         GETSET HDEL HEXISTS HEXPIRE HGET HGETALL HGETDEL HGETEX HINCRBY HINCRBYFLOAT HKEYS HLEN HMGET HMSET HPEXPIRE \
         HPERSIST HPTTL HRANDFIELD HSCAN HSET HSETEX HSETNX HSTRLEN HTTL HVALS INCR INCRBY INCRBYFLOAT LINDEX LINSERT \
         LLEN LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM MOVE PERSIST PEXPIRE PEXPIREAT PEXPIRETIME PFADD PSETEX PTTL \
         PUBLISH RESTORE RPOP RPUSH RPUSHX SADD SCARD SET SETBIT SETEX SETNX SETRANGE SISMEMBER SMEMBERS SMISMEMBER SORT \
         SORT_RO SPOP SPUBLISH SRANDMEMBER SREM SSCAN STRLEN SUBSTR TTL TYPE XACK XADD XAUTOCLAIM XCLAIM XDEL XLEN \
         XPENDING XRANGE XREVRANGE XSETID XTRIM ZADD ZCARD ZCOUNT ZINCRBY ZLEXCOUNT ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER \
         ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE \
         ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE SELECT ASKING CLIENT CONFIG ACL CLUSTER COMMAND DEBUG \
         FUNCTION LATENCY MODULE PUBSUB SCRIPT SENTINEL SLOWLOG REPLCONF HELLO INFO",
    ),
    (
        Names::First(2),
        "BLMOVE BRPOPLPUSH COPY GEOSEARCHSTORE LCS LMOVE RENAME RENAMENX RPOPLPUSH SMOVE ZRANGESTORE OBJECT XGROUP XINFO \
         MEMORY",
    ),
    (
        Names::All,
        "DEL EXISTS MGET PFCOUNT PFMERGE SDIFF SDIFFSTORE SINTER SINTERSTORE SUNION SUNIONSTORE TOUCH UNLINK WATCH \
         SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE REPLICAOF SLAVEOF PSYNC WAIT WAITAOF \
         FAILOVER SWAPDB",
    ),
    (Names::ButLast(1), "BLPOP BRPOP BZPOPMAX BZPOPMIN"),
    (Names::Pairs, "MSET MSETNX"),
    (Names::From(1), "BITOP"),
    (
        Names::None,
        "AUTH BGREWRITEAOF BGSAVE BLMPOP BZMPOP DBSIZE DISCARD ECHO EVAL EVALSHA EVALSHA_RO EVAL_RO EXEC FCALL FCALL_RO \
         FLUSHALL FLUSHDB KEYS LASTSAVE LMPOP LOLWUT MIGRATE MONITOR MSETEX MULTI PING QUIT RANDOMKEY READONLY READWRITE \
         RESET ROLE SAVE SCAN SHUTDOWN SINTERCARD SYNC TIME UNWATCH XREAD XREADGROUP ZDIFF ZDIFFSTORE ZINTER ZINTERCARD \
         ZINTERSTORE ZMPOP ZUNION ZUNIONSTORE",
    ),
];

/// Commands whose answer waits for something to happen.
const BLOCKING: &[&str] =
    &["BLMOVE", "BLMPOP", "BLPOP", "BRPOP", "BRPOPLPUSH", "BZMPOP", "BZPOPMAX", "BZPOPMIN", "WAIT", "WAITAOF"];

/// A word of a command, in upper case: its first bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    bytes: [u8; 28],
    length: u8,
}

impl Word {
    /// Appends bytes; what is too long for any word that matters is cut.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let used = usize::from(self.length);
        let room = self.bytes.get_mut(used..).unwrap_or_default();
        for (slot, byte) in room.iter_mut().zip(bytes) {
            *slot = byte.to_ascii_uppercase();
            self.length += 1;
        }
    }

    /// The word; empty if it is not ASCII.
    pub(super) fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(bytes).ok().filter(|word| word.is_ascii()).unwrap_or_default()
    }

    /// Whether this may be the name of a command, also of a module (`FT.SEARCH`).
    pub(super) fn is_plausible(&self) -> bool {
        let word = self.as_str().as_bytes();
        word.first().is_some_and(u8::is_ascii_alphabetic)
            && word.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'|'))
    }
}

/// A command that is being read: what decides which of its arguments are shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Command {
    pub(super) name: Word,
    pub(super) first: Word,
    pub(super) second: Word,
    names: Option<Names>,
}

impl Command {
    /// The name is complete.
    pub(super) fn named(&mut self) {
        self.names = names(self.name.as_str());
    }

    /// Whether the argument at `position` (of `count`) may be shown.
    pub(super) fn shows(&self, position: u64, count: u64, obfuscate: bool) -> bool {
        position == 0 || !(self.is_secret(position) || (obfuscate && !self.is_name(position, count)))
    }

    fn is_name(&self, position: u64, count: u64) -> bool {
        match self.names {
            None | Some(Names::None) => false,
            Some(Names::All) => true,
            Some(Names::First(last)) => position <= last,
            Some(Names::ButLast(hidden)) => position + hidden <= count,
            Some(Names::Pairs) => position % 2 == 1,
            Some(Names::From(first)) => position >= first,
        }
    }

    /// Passwords are never shown.
    fn is_secret(&self, position: u64) -> bool {
        match self.name.as_str() {
            "AUTH" => true,
            "HELLO" => position > 2,
            "CONFIG" | "ACL" | "SENTINEL" => position > 2,
            "MIGRATE" => position > 5,
            _ => false,
        }
    }

    /// Whether the answer waits for something to happen; `XREAD` says so with an argument.
    pub(super) fn is_blocking(&self, has_block: bool) -> bool {
        let name = self.name.as_str();
        BLOCKING.contains(&name) || (has_block && matches!(name, "XREAD" | "XREADGROUP"))
    }
}

/// Whether this is a command of Redis itself.
pub(super) fn is_known(name: &str) -> bool {
    names(name).is_some()
}

fn names(name: &str) -> Option<Names> {
    if name.is_empty() {
        return None;
    }
    let at = index().binary_search_by_key(&name, |&(known, _)| known).ok()?;
    index().get(at).map(|&(_, names)| names)
}

/// All commands, sorted by name.
fn index() -> &'static [(&'static str, Names)] {
    static INDEX: std::sync::OnceLock<Vec<(&'static str, Names)>> = std::sync::OnceLock::new();
    INDEX.get_or_init(|| {
        let rows = COMMANDS.iter();
        let mut index: Vec<_> =
            rows.flat_map(|&(names, list)| list.split_ascii_whitespace().map(move |name| (name, names))).collect();
        index.sort_unstable_by_key(|&(name, _)| name);
        index
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_is_listed_once() {
        let mut known = index().iter().map(|&(name, _)| name).collect::<Vec<_>>();
        known.dedup();
        assert_eq!(known.len(), index().len());
        assert!(known.iter().all(|name| name.len() < Word::default().bytes.len()));
    }

    #[test]
    fn shown_arguments() {
        let check = |line: &str, obfuscate, want: &str| {
            let words = line.split(' ').collect::<Vec<_>>();
            let mut command = Command::default();
            command.name.extend(words[0].as_bytes());
            command.named();
            let count = words.len() as u64 - 1;
            let shown = |(at, word)| if command.shows(at as u64, count, obfuscate) { word } else { "?" };
            assert_eq!(words.iter().copied().enumerate().map(shown).collect::<Vec<_>>().join(" "), want);
        };
        check("get k", true, "get k");
        check("SET k v EX 10", true, "SET k ? ? ?");
        check("SET k v EX 10", false, "SET k v EX 10");
        check("MSET a 1 b 2", true, "MSET a ? b ?");
        check("BLPOP a b 0", true, "BLPOP a b ?");
        check("DEL a b c", true, "DEL a b c");
        check("EVAL s 1 k v", true, "EVAL ? ? ? ?");
        check("NEWCMD a b", true, "NEWCMD ? ?");
        check("AUTH user pass", false, "AUTH ? ?");
        check("HELLO 3 AUTH user pass", false, "HELLO 3 AUTH ? ?");
        check("CONFIG SET requirepass x", false, "CONFIG SET requirepass ?");
        check("CONFIG GET maxmemory", true, "CONFIG GET ?");
    }
}
