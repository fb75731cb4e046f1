//! What people, and programs in their place, do by hand: of old things little is kept, of very old ones only how many
//! they were. A session in which nobody asks an agent must not grow by all that is done in it. Pure.

use staithe_protocol::EventId;

use super::{
    SHORT, View,
    items::{Item, Kind, Words},
};
use crate::model::Image;

/// Of so many long things all is told, and of older ones so many characters.
const WHOLE: usize = 20;
const BEGINNING: usize = 200;
/// So many things are told at all; twice as many may be, until the oldest are left out.
pub(super) const MOST: usize = 100;

impl View {
    /// Tells what was done by hand.
    pub(super) fn told_by_hand(&mut self, event: EventId, text: String, images: Vec<Image>) {
        if text.is_empty() && images.is_empty() {
            return;
        }
        self.told(event, Kind::ByHand, text, images);
        self.shorten();
        if self.by_hand > 2 * MOST {
            self.leave_out(self.by_hand - MOST);
        }
    }

    fn shorten(&mut self) {
        let Some(last) = self.items.len().checked_sub(1) else { return };
        if !matches!(&self.items[last], Item::User(words) if words.text.len() > SHORT) {
            return;
        }
        self.long.push_back(last);
        if self.long.len() <= WHOLE + WHOLE / 2 {
            return;
        }
        while self.long.len() > WHOLE
            && let Some(at) = self.long.pop_front()
        {
            self.looked_at(1);
            let Some(item) = self.items.get_mut(at) else { continue };
            self.weight -= item.weight();
            if let Item::User(words) = item {
                let length = words.text.chars().count();
                let kept: String = words.text.chars().take(BEGINNING).collect();
                words.text =
                    format!("{kept}\n[The rest of it is left out: {length} characters in all.]");
                words.images.clear();
            }
            self.weight += item.weight();
        }
    }

    /// Leaves the oldest out, so many, with those that were left out before: one line stands for all of them.
    fn leave_out(&mut self, most: usize) {
        let (mut gone, mut number, mut last, mut at, mut kept) = (0, 0, None, None, 0);
        self.retain(|item| {
            let count = match item {
                Item::User(Words { kind: Kind::LeftOut(count), .. }) => Some(*count),
                Item::User(Words { kind: Kind::ByHand, .. }) if gone < most => {
                    gone += 1;
                    Some(1)
                }
                _ => None,
            };
            let Some(count) = count else {
                kept += 1;
                return true;
            };
            number += count;
            last = item.events().last().copied();
            at.get_or_insert(kept);
            false
        });
        let Some((at, event)) = at.zip(last) else { return };
        let text = format!("[{number} more entries of what people did by hand are left out here.]");
        let (kind, images) = (Kind::LeftOut(number), Vec::new());
        self.insert(at, Item::User(Words { event, kind, text, images }));
    }
}
