//! Whose fault it is that WhatsApp did not acknowledge a send: the message's, or the page's. Pure.
//!
//! A page can be dead for sends alone: each one throws, or is swallowed, while every probe passes. So nothing is held
//! against a message before the page has shown that it still sends:
//!
//! | a send is not acknowledged, and | then it is | and |
//! |---|---|---|
//! | others were acknowledged by this page since the message failed before | the message's | a try counts |
//! | neither was the one before it | the page's | the page is healed, no try counts |
//! | it was alone with that, on [`FRESH_PAGES`] pages after the first | the message's | it is given up |
//! | none of these | open | it is tried again |
//!
//! What is known of a message here goes with the process; the next owner begins anew, and loses nothing by it.

/// Pages on which a message may fail alone after the one that it failed on first.
const FRESH_PAGES: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Open,
    /// For so many pages in a row, without an acknowledgement between them.
    Page {
        in_a_row: u32,
    },
    Message,
    /// Given up, whatever is left of its tries.
    MessageOnEveryPage,
}

/// What speaks against a message whose sends were not acknowledged.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    page: u64,
    /// How many sends were acknowledged when it failed last.
    acknowledged: u64,
    /// Pages that were given up for it alone.
    pages: u32,
}

/// Listens to what comes of sends, on one page after the other.
#[derive(Debug, Default)]
pub(super) struct SendJudge {
    /// Which page it is, counted.
    page: u64,
    acknowledged: u64,
    /// The message of the last send, if that was not acknowledged.
    last_failed: Option<i64>,
    pages_in_a_row: u32,
}

impl SendJudge {
    /// From now on this page sends.
    pub fn on_page(&mut self, page: u64) {
        if std::mem::replace(&mut self.page, page) != page {
            self.last_failed = None;
        }
    }

    /// `true` when the page, or the one before it, had been found at fault.
    pub fn acknowledged(&mut self) -> bool {
        self.acknowledged += 1;
        self.clear()
    }

    /// Judges a send of `page`.
    pub fn not_acknowledged(&mut self, message: i64, doubt: &mut Option<Doubt>, page: u64) -> Fault {
        if page != self.page {
            return Fault::Open;
        }
        let page_sends = doubt.as_ref().is_some_and(|before| before.is_refuted_by(self));
        let last_failed = self.last_failed.replace(message);
        let doubt = self.doubt(doubt);
        match last_failed {
            _ if page_sends => Fault::Message,
            None => Fault::Open,
            Some(other) => {
                self.last_failed = None;
                doubt.pages += u32::from(other == message);
                if doubt.pages > FRESH_PAGES {
                    self.clear();
                    return Fault::MessageOnEveryPage;
                }
                self.pages_in_a_row += 1;
                Fault::Page { in_a_row: self.pages_in_a_row }
            }
        }
    }

    /// Notes that a message was not acknowledged, without a judgement.
    pub fn doubt<'a>(&self, doubt: &'a mut Option<Doubt>) -> &'a mut Doubt {
        let doubt = doubt.get_or_insert_default();
        (doubt.page, doubt.acknowledged) = (self.page, self.acknowledged);
        doubt
    }

    fn clear(&mut self) -> bool {
        self.last_failed = None;
        std::mem::take(&mut self.pages_in_a_row) > 0
    }
}

impl Doubt {
    fn is_refuted_by(&self, judge: &SendJudge) -> bool {
        self.page == judge.page && judge.acknowledged > self.acknowledged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages with what speaks against each.
    #[derive(Default)]
    struct Sends {
        judge: SendJudge,
        doubts: [Option<Doubt>; 4],
    }

    impl Sends {
        fn fails(&mut self, message: usize) -> Fault {
            let page = self.judge.page;
            self.judge.not_acknowledged(message as i64, &mut self.doubts[message], page)
        }

        fn healed(&mut self) {
            let next = self.judge.page + 1;
            self.judge.on_page(next);
        }
    }

    #[test]
    fn two_failures_in_a_row_are_the_pages_and_count_for_no_message() {
        let mut sends = Sends::default();
        for in_a_row in 1..9 {
            assert_eq!(sends.fails(1), Fault::Open);
            assert_eq!(sends.fails(2), Fault::Page { in_a_row });
            sends.healed();
        }
        assert!(sends.judge.acknowledged(), "the page that sends was doubted");
        assert!(!sends.judge.acknowledged());
        assert_eq!(sends.fails(1), Fault::Open, "it failed on other pages");
        assert_eq!(sends.fails(2), Fault::Page { in_a_row: 1 });
    }

    #[test]
    fn a_message_that_fails_where_others_do_not_is_at_fault() {
        let mut sends = Sends::default();
        assert_eq!(sends.fails(1), Fault::Open);
        for _ in 0..8 {
            sends.judge.acknowledged();
            assert_eq!(sends.fails(1), Fault::Message);
        }
        assert_eq!(sends.fails(2), Fault::Page { in_a_row: 1 }, "but two in a row are two in a row");
    }

    #[test]
    fn a_message_that_fails_alone_on_three_fresh_pages_is_at_fault() {
        let mut sends = Sends::default();
        for in_a_row in 1..=FRESH_PAGES {
            assert_eq!(sends.fails(1), Fault::Open);
            assert_eq!(sends.fails(1), Fault::Page { in_a_row });
            sends.healed();
        }
        assert_eq!(sends.fails(1), Fault::Open);
        assert_eq!(sends.fails(1), Fault::MessageOnEveryPage);
        assert_eq!(sends.fails(2), Fault::Open, "and its page is not");
    }

    #[test]
    fn what_a_page_did_that_is_gone_says_nothing_of_the_next() {
        let mut sends = Sends::default();
        assert_eq!(sends.fails(1), Fault::Open);
        sends.healed();
        assert_eq!(sends.judge.not_acknowledged(2, &mut None, 0), Fault::Open);
        assert_eq!(sends.fails(2), Fault::Open);
        assert_eq!(sends.fails(1), Fault::Page { in_a_row: 1 });
    }
}
