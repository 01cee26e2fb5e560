//! How an image came to be, step by step, as `docker history` shows it.

use meta::Read;
use types::Reference;
use types::oci::image::History;

use crate::error::Result;
use crate::record::{IMAGES, ImageId, ImageRecord};
use crate::store::Store;

/// One step, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryStep {
    /// The image after this step, where the store has it; Docker shows `<missing>` otherwise.
    pub id: Option<ImageId>,
    /// What the config says.
    pub step: History,
    /// Bytes of the layer that the step made.
    pub size: u64,
    /// Names of the image after this step.
    pub tags: Vec<Reference>,
}

impl Store {
    /// Returns the steps of an image, the newest first. The image itself is the newest step's; the
    /// steps before are those of its parents, as far as the store has them.
    pub fn history(&self, read: &impl Read, id: ImageId) -> Result<Vec<HistoryStep>> {
        let image = self.get(read, id)?;
        let mut steps = steps(&image);
        let mut next = Some(id);
        for step in &mut steps {
            let Some(id) = next else { break };
            let Some(row) = read.get(&IMAGES, &id.to_string())? else {
                break;
            };
            step.id = Some(id);
            step.tags = self.tags(read, id)?;
            next = row.parent;
        }
        Ok(steps)
    }
}

fn steps(image: &ImageRecord) -> Vec<HistoryStep> {
    let mut sizes = image.layer_sizes.iter().copied();
    let mut steps: Vec<HistoryStep> = image
        .config
        .history
        .iter()
        .map(|step| {
            let size = if step.empty_layer {
                0
            } else {
                sizes.next().unwrap_or(0)
            };
            HistoryStep {
                id: None,
                step: step.clone(),
                size,
                tags: Vec::new(),
            }
        })
        .collect();
    steps.reverse();
    steps
}
