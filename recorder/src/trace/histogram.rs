//! The one histogram: exponential, base 2, scale 3 (8 buckets an octave, error at most 4.3 %), mergeable by adding.
//! Integer arithmetic throughout, so that every machine and every reader puts a duration in the same bucket.

/// Buckets an octave: 2 to the power of the scale.
const PER_OCTAVE: i32 = 8;

/// floor(2^(63 + j/8)) for j = 0..8: where the buckets of the top octave begin.
const EDGES: [u64; PER_OCTAVE as usize] = [
    0x8000_0000_0000_0000,
    0x8b95_c1e3_ea8b_d6e6,
    0x9837_f051_8db8_a96f,
    0xa5fe_d6a9_b151_38ea,
    0xb504_f333_f9de_6484,
    0xc567_2a11_5506_dadd,
    0xd744_fcca_d69d_6af4,
    0xeac0_c6e7_dd24_392e,
];

/// The smallest index: that of 1 ns.
const FIRST: i32 = -1;

/// The bucket of a duration: `ceil(8 * log2(d)) - 1`, 0 counting as 1. Bucket i covers (2^(i/8), 2^((i+1)/8)].
pub fn bucket_of(duration_ns: u64) -> i32 {
    let duration = duration_ns.max(1);
    let shift = duration.leading_zeros();
    // The edges are irrational but for j = 0, so "above the edge" and "above its floor" are the same for integers.
    let normalized = duration << shift;
    let above = EDGES.iter().filter(|&&edge| normalized > edge).count() as i32;
    PER_OCTAVE * (63 - shift as i32) + above - 1
}

/// Counts by bucket, as far as the longest duration seen: 2.2 kB for one that has met a second.
#[derive(Clone, Default)]
pub struct Histogram {
    counts: Vec<u64>,
}

impl Histogram {
    pub fn count(&mut self, duration_ns: u64) {
        self.add(bucket_of(duration_ns), 1);
    }

    pub fn add(&mut self, bucket: i32, count: u64) {
        let place = (bucket - FIRST).max(0) as usize;
        if place >= self.counts.len() {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] = self.counts[place].saturating_add(count);
    }

    pub fn merge(&mut self, other: &Histogram) {
        for (bucket, count) in other.filled() {
            self.add(bucket, count);
        }
    }

    /// (bucket, count) of those not empty, ascending.
    pub fn filled(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        self.counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(at, count)| (at as i32 + FIRST, *count))
    }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_map().entries(self.filled()).finish()
    }
}

impl PartialEq for Histogram {
    fn eq(&self, other: &Histogram) -> bool {
        self.filled().eq(other.filled())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// base^power as little-endian 32-bit limbs.
    fn power(base: u64, power: u32) -> Vec<u32> {
        let mut limbs = vec![1u32];
        for _ in 0..power {
            let mut product = vec![0u32; limbs.len() + 2];
            for (at, limb) in limbs.iter().enumerate() {
                let mut carry = 0u128;
                let wide = u128::from(*limb) * u128::from(base);
                let mut place = at;
                let mut rest = wide;
                while rest > 0 || carry > 0 {
                    let sum = u128::from(product[place]) + (rest & 0xffff_ffff) + carry;
                    product[place] = sum as u32;
                    carry = sum >> 32;
                    rest >>= 32;
                    place += 1;
                }
            }
            while product.last() == Some(&0) && product.len() > 1 {
                product.pop();
            }
            limbs = product;
        }
        limbs
    }

    /// Whether d > 2^(i/8), that is d^8 > 2^i, exactly.
    fn above(duration: u64, index: i32) -> bool {
        if index < 0 {
            return true;
        }
        let mut edge = vec![0u32; index as usize / 32 + 1];
        edge[index as usize / 32] = 1 << (index % 32);
        let value = power(duration, 8);
        (value.len(), value.iter().rev().collect::<Vec<_>>()) > (edge.len(), edge.iter().rev().collect::<Vec<_>>())
    }

    fn is_its_bucket(duration: u64) -> bool {
        let bucket = bucket_of(duration);
        above(duration, bucket) && !above(duration, bucket + 1)
    }

    #[test]
    fn small_durations_and_all_powers_of_two_fall_exactly_in_their_bucket() {
        assert_eq!(bucket_of(0), -1);
        assert_eq!(bucket_of(1), -1);
        assert_eq!(bucket_of(2), 7);
        assert_eq!(bucket_of(3), 12);
        for duration in 1..5_000 {
            assert!(is_its_bucket(duration), "{duration}");
        }
        for shift in 2..64 {
            for duration in [(1u64 << shift) - 1, 1 << shift, (1 << shift) + 1] {
                assert!(is_its_bucket(duration), "{duration}");
            }
        }
    }

    #[test]
    fn the_edges_of_every_octave_fall_exactly_in_their_bucket() {
        for edge in EDGES {
            for shift in 0..63 {
                for duration in [(edge >> shift).max(1), (edge >> shift) + 1] {
                    assert!(is_its_bucket(duration), "{duration}");
                }
            }
        }
        assert!(is_its_bucket(u64::MAX));
    }

    proptest! {
        #[test]
        fn every_duration_falls_exactly_in_its_bucket(duration in 1u64.., shift in 0u32..63) {
            prop_assert!(is_its_bucket((duration >> shift).max(1)));
        }

        #[test]
        fn merged_histograms_are_those_of_all_durations(first: Vec<u64>, second: Vec<u64>) {
            let (mut merged, mut other, mut all) = Default::default();
            let count = |into: &mut Histogram, from: &[u64]| from.iter().for_each(|d| into.count(*d));
            count(&mut merged, &first);
            count(&mut other, &second);
            count(&mut all, &first);
            count(&mut all, &second);
            merged.merge(&other);
            prop_assert_eq!(merged, all);
        }
    }
}
