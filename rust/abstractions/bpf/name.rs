// SPDX-License-Identifier: GPL-2.0-only

//! Names that users give to programs.
//!
//! C header: [`include/linux/rbtree.h`](srctree/include/linux/rbtree.h)

use crate::abstractions::sync::bh_lock::BhLock;
use core::{
    alloc::Layout,
    cmp::Ordering,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    alloc::{
        allocator::Kmalloc,
        Allocator,
        NumaNode, //
    },
    bindings,
    container_of,
    prelude::*,
    sync::{
        global_lock,
        GlobalGuard, //
    },
    types::Opaque, //
};

/// A name. The string, with its NUL, follows in the same allocation.
struct Name {
    /// In the tree, if somebody shares it or may.
    links: Opaque<bindings::rb_node>,
    /// How many share it. 0 if it is in no tree: then it has one owner. Protected by the lock of the
    /// tree once the name is in there.
    users: usize,
    /// The program that it is the name of.
    prog: u32,
    /// Bytes of the string, with its NUL.
    len: u32,
}

/// The shared names of programs, by the programs' numbers.
///
/// The kernel crate's tree has an allocation of its own for each node.
struct Tree(Opaque<bindings::rb_root>);

// SAFETY: The tree is only touched with the lock held, and names may be freed by any thread.
unsafe impl Send for Tree {}

global_lock! {
    // SAFETY: `NAMES` initialises it before it takes it.
    unsafe(uninit) static NAMES_LOCK: SpinLock<Tree> = Tree(Opaque::new(bindings::rb_root {
        rb_node: ptr::null_mut(),
    }));
}

// SAFETY: Nobody else uses it.
static NAMES: BhLock<NAMES_LOCK> = unsafe { BhLock::new(&NAMES_LOCK) };

/// Initialises the lock. Call before the first [`SharedName::new`]. Process context.
pub(crate) fn init() {
    NAMES.init();
}

/// Where a program is in the tree.
enum Place {
    Occupied(NonNull<Name>),
    /// Below this node, and there behind this pointer.
    Vacant(*mut bindings::rb_node, *mut *mut bindings::rb_node),
}

/// Searches the tree. O(log n) in the number of programs.
fn find(tree: &GlobalGuard<NAMES_LOCK>, prog: u32) -> Place {
    // SAFETY: The tree is locked: what is in there is valid, and is part of a name.
    unsafe {
        let mut parent = ptr::null_mut();
        let mut at = &raw mut (*tree.0.get()).rb_node;
        while !(*at).is_null() {
            parent = *at;
            let name: *mut Name = container_of!(parent.cast::<Opaque<_>>(), Name, links);
            at = match prog.cmp(&(*name).prog) {
                Ordering::Less => &raw mut (*parent).rb_left,
                Ordering::Greater => &raw mut (*parent).rb_right,
                Ordering::Equal => return Place::Occupied(NonNull::new_unchecked(name)),
            };
        }
        Place::Vacant(parent, at)
    }
}

/// The name of a program, which all share who give that program that name.
///
/// # Invariants
///
/// The name is valid. It counts this reference, or has no other.
pub(crate) struct SharedName(NonNull<Name>);

// SAFETY: The string is never written, the count is protected by the lock, and any thread may free.
unsafe impl Send for SharedName {}

// SAFETY: Only the string can be reached by a shared reference, and it is never written.
unsafe impl Sync for SharedName {}

impl SharedName {
    /// A name for the program with the number `prog`. `ENOMEM`; `EINVAL` without [`init()`]. Any
    /// context with interrupts enabled; it does not sleep. O(log n) in the number of programs on
    /// routes.
    ///
    /// A program that has another name keeps that, and this one is not shared.
    pub(crate) fn new(prog: u32, string: &CStr) -> Result<Self> {
        if let Some(found) = NAMES.with(|tree| Self::share(tree, prog, string))? {
            return Ok(found);
        }
        let own = Self::alloc(prog, string)?;
        let found = NAMES.with(|tree| {
            let found = Self::share(tree, prog, string);
            if let Place::Vacant(parent, at) = find(tree, prog) {
                // SAFETY: The tree is locked, and this is where a search for that program ends. The
                // name is ours alone, and stays until it is taken out.
                unsafe {
                    let name = own.0.as_ptr();
                    (*name).users = 1;
                    // Not by a reference to the links, which would not reach the name around them.
                    let links = Opaque::cast_into(&raw const (*name).links);
                    bindings::rb_link_node(links, parent, at);
                    bindings::rb_insert_color(links, tree.0.get());
                }
            }
            found
        })?;
        Ok(found.unwrap_or(own))
    }

    /// The name that the program has, if it is this one.
    fn share(tree: &GlobalGuard<NAMES_LOCK>, prog: u32, string: &CStr) -> Option<Self> {
        let Place::Occupied(name) = find(tree, prog) else {
            return None;
        };
        // SAFETY: In the tree, which is locked.
        unsafe {
            if Self::string(name) != string {
                return None;
            }
            (*name.as_ptr()).users += 1;
        }
        // INVARIANT: Counted by the line above.
        Some(Self(name))
    }

    /// A name that is not shared.
    fn alloc(prog: u32, string: &CStr) -> Result<Self> {
        let bytes = string.to_bytes_with_nul();
        let len = u32::try_from(bytes.len()).map_err(|_| ENOMEM)?;
        let layout = Self::layout(bytes.len())?;
        let name: NonNull<Name> = Kmalloc::alloc(layout, GFP_ATOMIC, NumaNode::NO_NODE)?.cast();
        // SAFETY: It has that layout, and nobody else has it.
        unsafe {
            name.write(Name {
                links: Opaque::zeroed(),
                users: 0,
                prog,
                len,
            });
            let start = name.add(1).cast::<u8>().as_ptr();
            ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len());
        }
        // INVARIANT: Made just now.
        Ok(Self(name))
    }

    /// Of a name with a string of so many bytes. `ENOMEM` if there can be none.
    fn layout(len: usize) -> Result<Layout> {
        let (layout, _) = Layout::new::<Name>()
            .extend(Layout::array::<u8>(len).map_err(|_| ENOMEM)?)
            .map_err(|_| ENOMEM)?;
        Ok(layout)
    }

    /// # Safety
    ///
    /// `name` is valid for `'a`.
    unsafe fn string<'a>(name: NonNull<Name>) -> &'a CStr {
        // SAFETY: By the safety requirements of this function. So many bytes of a string follow.
        unsafe {
            CStr::from_bytes_with_nul_unchecked(core::slice::from_raw_parts(
                name.add(1).cast().as_ptr(),
                (*name.as_ptr()).len as usize,
            ))
        }
    }

    /// The name.
    pub(crate) fn as_cstr(&self) -> &CStr {
        // SAFETY: Valid by the type invariant.
        unsafe { Self::string(self.0) }
    }
}

impl PartialEq for SharedName {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.as_cstr() == other.as_cstr()
    }
}

impl Drop for SharedName {
    fn drop(&mut self) {
        let name = self.0.as_ptr();
        // SAFETY: Valid by the type invariant, until the reference is given up below.
        let layout = Self::layout(unsafe { (*name).len } as usize);
        // SAFETY: Valid by the type invariant, and in the tree, which is locked, if it counts.
        let last = NAMES.with(|tree| unsafe {
            if (*name).users > 1 {
                (*name).users -= 1;
                return false;
            }
            if (*name).users == 1 {
                bindings::rb_erase((*name).links.get(), tree.0.get());
            }
            true
        });
        if let (Ok(true), Ok(layout)) = (last, layout) {
            // SAFETY: Allocated by `alloc` with that layout, in no tree, and this was the last
            // reference.
            unsafe { Kmalloc::free(self.0.cast(), layout) };
        }
    }
}
