//! A version that knows nothing: it replaces no good one, but for a trainer that was told to begin anew.

use model::RowEncoding;

use super::tests::{NAMES, kafka};
use super::*;
use crate::testing::{self, versions};

#[tokio::test]
async fn an_empty_version_is_refused_and_the_good_one_stays_unless_its_trainer_was_told_to_begin_anew() {
    let versions = versions();
    let slot = Arc::new(Slot::new(Model::serving("flex", RowEncoding::F32).expect("opens")));
    let mut follower = Follower::new(Arc::clone(&slot), NAMES, kafka(), Context::new("test"));
    let live = |slot: &Slot| (slot.load().model.version(), slot.load().model.knowledge().items() > 0);
    let id = |epoch, sequence| VersionId { epoch, sequence };
    for version in &versions[..2] {
        follower.whole(version.clone()).await.expect("is taken");
    }
    assert!(follower.catch_up().await.expect("is taken"));
    assert_eq!(live(&slot), (Some(id(1, 2)), true));
    follower.whole(testing::empty(id(1, 3))).await.expect("is taken");
    assert_eq!((follower.tip.version(), live(&slot)), (Some(id(1, 2)), (Some(id(1, 2)), true)));
    follower.whole(versions[2].clone()).await.expect("is taken");
    assert_eq!(live(&slot), (Some(id(1, 3)), true), "the chain goes on from the good one");
    follower.walk.take(&testing::claim_of(100, 2, false));
    follower.whole(testing::empty(id(2, 1))).await.expect("is taken");
    assert_eq!(live(&slot), (Some(id(1, 3)), true), "another trainer says nothing of it either");
    follower.walk.take(&testing::claim_of(101, 3, true));
    follower.whole(testing::empty(id(3, 1))).await.expect("is taken");
    assert_eq!(live(&slot), (Some(id(3, 1)), false), "as told");
}
