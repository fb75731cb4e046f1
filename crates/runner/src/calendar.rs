//! Days and hours of seconds since 1970, in UTC. Pure.

/// A moment, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub year: u64,
    /// 1 is January.
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    /// 0 is Sunday.
    pub weekday: u8,
}

impl Moment {
    /// So many seconds after the beginning of 1970.
    pub fn at(seconds: u64) -> Self {
        let small = |number: u64| u8::try_from(number).unwrap_or(u8::MAX); // each is below 60
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        // Years begin in March here, so that a leap day is a year's last.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self {
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month: small(month),
            day: small(of_year - (153 * from_march + 2) / 5 + 1),
            hour: small(second / 3600),
            minute: small(second / 60 % 60),
            second: small(second % 60),
            weekday: small((days + 4) % 7),
        }
    }

    /// The inverse of [`Moment::at`]; the day of the week means nothing.
    pub fn seconds(&self) -> u64 {
        let (month, day) = (u64::from(self.month), u64::from(self.day));
        let year = self.year - u64::from(month <= 2);
        let (era, of_era) = (year / 400, year % 400);
        let from_march = if month > 2 { month - 3 } else { month + 9 };
        let of_year = (153 * from_march + 2) / 5 + day - 1;
        let days = (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year)
            .saturating_sub(719_468);
        let (hour, minute) = (u64::from(self.hour), u64::from(self.minute));
        days * 86_400 + hour * 3600 + minute * 60 + u64::from(self.second)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_leap_day_is_a_day() {
        let moment = Moment::at(951_827_696);
        let said = (moment.year, moment.month, moment.day, moment.hour, moment.weekday);
        assert_eq!(said, (2000, 2, 29, 12, 2));
    }

    proptest! {
        #[test]
        fn seconds_come_back_as_they_were(seconds in 0..10_000_000_000_u64) {
            prop_assert_eq!(Moment::at(seconds).seconds(), seconds);
        }
    }
}
