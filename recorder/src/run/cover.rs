//! What lies over the directories before the command's process is there, or will be laid there by it: the connections
//! and, for an ordinary user, the mounts. Taken away again if the run does not come about.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::command::Overlay;
use super::hidden::HiddenPlace;
use super::keeper::Keeper;
use super::plan::{Plan, Way};
use super::recorder::Seat;
use crate::error::Error;
use crate::mount::source::Source;
use crate::mount::{fuse, fusermount};

pub struct Cover {
    /// Directory and how it is covered, for the command's process.
    pub overlays: Vec<(PathBuf, Overlay)>,
    /// One connection a directory, for the recorder.
    devices: Vec<OwnedFd>,
    hidden: Option<HiddenPlace>,
    in_place: InPlace,
}

/// Mounts for all to see.
struct InPlace {
    points: Vec<PathBuf>,
    keeper: Option<Keeper>,
}

impl InPlace {
    fn none() -> InPlace {
        InPlace { points: Vec::new(), keeper: None }
    }

    fn at(points: Vec<PathBuf>) -> Result<InPlace, Error> {
        let failed = |cause| Error::system("cannot start", "the process that cleans up", cause);
        let keeper = Keeper::start(|| take_away(&points)).map_err(failed)?;
        Ok(InPlace { points, keeper: Some(keeper) })
    }

    fn mount(&self, source: &Source) -> Result<OwnedFd, Error> {
        let mount = || fusermount::mount(&source.path, &source.path, source.flags);
        self.keeper.as_ref().map_or_else(mount, |keeper| keeper.during(mount))
    }

    fn release_keeper(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.release();
        }
    }
}

impl Drop for InPlace {
    fn drop(&mut self) {
        take_away(&self.points);
        self.release_keeper();
    }
}

fn take_away(points: &[PathBuf]) {
    for point in points {
        // What cannot be unmounted now goes with its last user.
        let _ = fusermount::unmount_ours(point, true);
    }
}

impl Cover {
    pub fn make(plan: &Plan) -> Result<Cover, Error> {
        let in_place = match plan.way {
            Way::InPlace => InPlace::at(plan.sources.iter().map(|source| source.path.clone()).collect())?,
            _ => InPlace::none(),
        };
        let mut cover = Cover { overlays: Vec::new(), devices: Vec::new(), hidden: None, in_place };
        for source in &plan.sources {
            let device = fuse::open_device()?;
            let overlay = match plan.way {
                Way::Root => cover.connect_for_mount(source, device)?,
                Way::UserNamespace => cover.connect_hidden(source)?,
                Way::InPlace => cover.connect_in_place(source)?,
            };
            cover.overlays.push((source.path.clone(), overlay));
        }
        Ok(cover)
    }

    fn connect_for_mount(&mut self, source: &Source, device: OwnedFd) -> Result<Overlay, Error> {
        let copy = device.try_clone().map_err(|cause| Error::system("cannot copy", fuse::DEVICE, cause))?;
        self.devices.push(copy);
        Ok(Overlay::Device { device, flags: source.flags, nested: source.nested.clone() })
    }

    fn connect_hidden(&mut self, source: &Source) -> Result<Overlay, Error> {
        let place = match self.hidden.take() {
            Some(place) => place,
            None => HiddenPlace::make()?,
        };
        let (device, hidden) = self.hidden.insert(place).mount(source)?;
        self.devices.push(device);
        Ok(Overlay::Bind { hidden })
    }

    fn connect_in_place(&mut self, source: &Source) -> Result<Overlay, Error> {
        self.devices.push(self.in_place.mount(source)?);
        Ok(Overlay::Nothing)
    }

    /// What the recorder gets: a device and a source each.
    pub fn seats(&mut self, plan: &mut Plan) -> Vec<Seat> {
        let is_private = plan.way != Way::InPlace;
        let pairs = self.devices.drain(..).zip(plan.sources.drain(..));
        pairs.map(|(device, source)| Seat { device, source, is_private }).collect()
    }

    /// It takes the mounts away that all can see, also if we are killed.
    pub fn recorder_is_there(&mut self) {
        self.in_place.release_keeper();
    }

    /// Where each mount can be seen from here; None if the command's process is still to make it.
    pub fn mounted_at(&self) -> Option<Vec<PathBuf>> {
        let place = |(directory, overlay): &(PathBuf, Overlay)| match overlay {
            Overlay::Device { .. } => None,
            Overlay::Bind { hidden } => Some(hidden.clone()),
            Overlay::Nothing => Some(directory.clone()),
        };
        self.overlays.iter().map(place).collect()
    }

    /// Bound over their directories, the hidden mounts have done their duty.
    pub fn unhide(&mut self) {
        self.hidden = None;
    }

    /// The recorder takes the mounts away when nobody uses them any more.
    pub fn leave_to_recorder(mut self) {
        self.in_place.points.clear();
    }
}
