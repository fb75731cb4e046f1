//! Which addresses a private network gets. Pure.

use std::net::Ipv4Addr;

/// Addresses of one private network: 16, of which 13 can be had by containers.
const SLICE_BITS: u32 = 4;

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    first: u32,
    last: u32,
}

impl Range {
    /// From `a.b.c.d/bits`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address = u32::from(address.parse::<Ipv4Addr>().ok()?);
        let bits = bits.parse::<u32>().ok().filter(|bits| *bits <= 32)?;
        let size = u32::MAX.checked_shr(bits).unwrap_or(0);
        Some(Self { first: address & !size, last: address | size })
    }

    fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Where networks are cut from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pool(Range);

impl Pool {
    /// From `a.b.c.d/bits`; it must hold at least one network, and be no larger than a /8.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bits = text.split_once('/')?.1.parse::<u32>().ok()?;
        (8..=32 - SLICE_BITS).contains(&bits).then(|| Range::parse(text).map(Self))?
    }

    /// The first free network from the `seed`-th on, as `a.b.c.d/28`.
    pub(super) fn free(self, taken: &[Range], seed: u32) -> Option<(Range, String)> {
        let slices = (self.0.last - self.0.first) / (1 << SLICE_BITS) + 1;
        (0..slices).find_map(|step| {
            let number = seed.wrapping_add(step) % slices;
            let first = self.0.first + (number << SLICE_BITS);
            let slice = Range { first, last: first + ((1 << SLICE_BITS) - 1) };
            let free = !taken.iter().any(|other| other.overlaps(slice));
            free.then(|| (slice, format!("{}/{}", Ipv4Addr::from(first), 32 - SLICE_BITS)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_cut_one_beside_the_other_around_what_is_taken() {
        let pool = Pool::parse("10.201.0.0/16").expect("a pool");
        let mut taken = vec![Range::parse("10.201.0.16/28").expect("a range")];
        let mut cut = Vec::new();
        for _ in 0..3 {
            let (range, text) = pool.free(&taken, 0).expect("room");
            taken.push(range);
            cut.push(text);
        }
        assert_eq!(cut, ["10.201.0.0/28", "10.201.0.32/28", "10.201.0.48/28"]);
    }

    #[test]
    fn a_full_pool_has_nothing_and_the_seed_goes_round() {
        let pool = Pool::parse("192.168.7.0/27").expect("a pool");
        let (_, second) = pool.free(&[], 1).expect("room");
        assert_eq!(second, "192.168.7.16/28");
        let (_, round) =
            pool.free(&[Range::parse("192.168.7.16/28").expect("a range")], 3).expect("room");
        assert_eq!(round, "192.168.7.0/28");
        assert_eq!(pool.free(&[Range::parse("0.0.0.0/0").expect("all")], 0), None);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0", "10.0.0.0/29", "10.0.0.0/7", "10.0.0/16", "x/16"] {
            assert_eq!(Pool::parse(text), None, "{text}");
        }
    }
}
