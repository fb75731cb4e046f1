//! Who may type into a terminal and change its size. Pure.

use staithe_protocol::terminal::{Driving, TerminalCode, TerminalDenied};

/// See the module.
#[derive(Debug)]
pub struct Access {
    driving: Driving,
    driver: Option<String>,
}

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// It may, and nothing else changed.
    AsBefore,
    /// It may, and another one drives than before, or nobody.
    Changed,
}

impl Access {
    pub fn new(driving: Driving) -> Self {
        Self { driving, driver: None }
    }

    pub fn driving(&self) -> Driving {
        self.driving
    }

    /// Who drives alone.
    pub fn driver(&self) -> Option<&str> {
        self.driver.as_deref()
    }

    /// A client types.
    pub fn types(&mut self, client: &str) -> Result<Allowed, TerminalDenied> {
        self.resizes(Some(client))?;
        if self.driver.is_none() && self.driving == Driving::One {
            self.driver = Some(client.to_owned());
            return Ok(Allowed::Changed);
        }
        Ok(Allowed::AsBefore)
    }

    /// A client, or a request that belongs to none, changes the size.
    pub fn resizes(&self, client: Option<&str>) -> Result<Allowed, TerminalDenied> {
        match &self.driver {
            Some(driver) if Some(driver.as_str()) != client => Err(TerminalDenied {
                code: TerminalCode::NotDriver,
                reason: "another client drives this terminal".to_owned(),
            }),
            _ => Ok(Allowed::AsBefore),
        }
    }

    /// A client wants to drive alone, or no more to. With `take`, also in place of another one.
    pub fn drives(
        &mut self,
        client: &str,
        drive: bool,
        take: bool,
    ) -> Result<Allowed, TerminalDenied> {
        if !take {
            self.resizes(Some(client))?;
        }
        let driver = drive.then(|| client.to_owned());
        if self.driver == driver {
            return Ok(Allowed::AsBefore);
        }
        self.driver = driver;
        Ok(Allowed::Changed)
    }

    /// A client is gone for good. Whether it drove.
    pub fn leaves(&mut self, client: &str) -> bool {
        self.driver.take_if(|driver| driver == client).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_may_until_one_asks_to_drive() {
        let mut access = Access::new(Driving::Free);
        assert_eq!(access.types("a"), Ok(Allowed::AsBefore));
        assert_eq!(access.types("b"), Ok(Allowed::AsBefore));
        assert_eq!(access.drives("a", true, false), Ok(Allowed::Changed));
        assert_eq!(access.drives("a", true, false), Ok(Allowed::AsBefore));
        for denied in [access.types("b"), access.resizes(Some("b")), access.resizes(None)] {
            assert_eq!(denied.unwrap_err().code, TerminalCode::NotDriver);
        }
        assert!(
            access.drives("b", true, false).is_err() && access.drives("b", false, false).is_err()
        );
        assert_eq!(access.types("a"), Ok(Allowed::AsBefore));
        assert_eq!(access.drives("a", false, false), Ok(Allowed::Changed));
        assert_eq!(access.types("b"), Ok(Allowed::AsBefore));
        assert_eq!(access.driver(), None);
    }

    #[test]
    fn who_takes_a_terminal_has_it_and_the_other_one_has_it_no_more() {
        let mut access = Access::new(Driving::Free);
        assert_eq!(access.drives("a", true, false), Ok(Allowed::Changed));
        assert_eq!(access.drives("b", true, true), Ok(Allowed::Changed));
        assert!(access.driver() == Some("b") && access.types("a").is_err());
        assert!(access.drives("a", false, false).is_err(), "it has nothing to let go");
        assert_eq!(access.drives("a", false, true), Ok(Allowed::Changed));
        assert_eq!(access.types("b"), Ok(Allowed::AsBefore));
        assert_eq!(access.driver(), None);
    }

    #[test]
    fn where_one_drives_it_is_who_types_first_until_it_leaves() {
        let mut access = Access::new(Driving::One);
        assert_eq!(access.resizes(Some("b")), Ok(Allowed::AsBefore));
        assert_eq!(access.types("a"), Ok(Allowed::Changed));
        assert!(access.types("b").is_err());
        assert!(!access.leaves("b") && access.leaves("a") && !access.leaves("a"));
        assert_eq!(access.types("b"), Ok(Allowed::Changed));
        assert_eq!(access.driver(), Some("b"));
    }
}
