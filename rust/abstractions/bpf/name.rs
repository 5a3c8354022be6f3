// SPDX-License-Identifier: GPL-2.0-only

//! Names that users give to programs.
//!
//! C header: [`include/linux/rbtree.h`](srctree/include/linux/rbtree.h)

use crate::abstractions::{
    bindings::{
        kfree,
        kmalloc,
        GFP_ATOMIC, //
    },
    sync::{
        bh_lock::BhLock,
        refcount::dec_not_one, //
    }, //
};
use core::ptr::{
    self,
    NonNull, //
};
use kernel::{
    bindings,
    container_of,
    prelude::*,
    sync::{
        global_lock,
        GlobalGuard,
        Refcount, //
    },
    types::Opaque, //
};

/// A name. The string, with its NUL, follows in the same allocation.
struct Name {
    /// Protected by the lock of the tree, if it is in there.
    links: Opaque<bindings::rb_node>,
    /// How many share it. The last one goes with the lock of the tree held, if it is in there.
    users: Refcount,
    /// The program that it is the name of.
    prog: u32,
    /// Bytes of the string, with its NUL.
    len: u32,
    /// It is in the tree: somebody shares it, or may.
    shared: bool,
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
            if prog == (*name).prog {
                return Place::Occupied(NonNull::new_unchecked(name));
            }
            at = if prog < (*name).prog {
                &raw mut (*parent).rb_left
            } else {
                &raw mut (*parent).rb_right
            };
        }
        Place::Vacant(parent, at)
    }
}

/// The name of a program, which all share who give that program that name.
///
/// # Invariants
///
/// The name is valid, and counts this reference. If it is shared it is in the tree.
pub(crate) struct SharedName(NonNull<Name>);

// SAFETY: The string is never written, the count is atomic, and any thread may free.
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
        NAMES.with(|tree| match find(tree, prog) {
            // SAFETY: In the tree, which is locked.
            Place::Occupied(name) if unsafe { Self::string(name) } == string => {
                // SAFETY: In the tree, which is locked: somebody has it.
                unsafe { (*name.as_ptr()).users.inc() };
                // INVARIANT: Counted by the line above, and in the tree.
                Ok(Self(name))
            }
            Place::Occupied(_) => Self::alloc(prog, string),
            Place::Vacant(parent, at) => {
                let own = Self::alloc(prog, string)?;
                // SAFETY: The tree is locked, and this is where a search for that program ends. The
                // name is ours alone, and stays until it is taken out.
                unsafe {
                    let name = own.0.as_ptr();
                    (*name).shared = true;
                    // Not by a reference to the links, which would not reach the name around them.
                    let links = Opaque::cast_into(&raw const (*name).links);
                    bindings::rb_link_node(links, parent, at);
                    bindings::rb_insert_color(links, tree.0.get());
                }
                Ok(own)
            }
        })?
    }

    /// A name that is not shared.
    fn alloc(prog: u32, string: &CStr) -> Result<Self> {
        let bytes = string.to_bytes_with_nul();
        let len = u32::try_from(bytes.len()).map_err(|_| ENOMEM)?;
        // SAFETY: An FFI call with no requirements. A string's length does not overflow.
        let name = unsafe { kmalloc(size_of::<Name>() + bytes.len(), GFP_ATOMIC) };
        let name: NonNull<Name> = NonNull::new(name).ok_or(ENOMEM)?.cast();
        const { assert!(align_of::<Name>() <= align_of::<u64>()) };
        // SAFETY: It has that size, is aligned as a `u64` at least, and nobody else has it.
        unsafe {
            name.write(Name {
                links: Opaque::zeroed(),
                users: Refcount::new(1),
                prog,
                len,
                shared: false,
            });
            let start = name.add(1).cast::<u8>().as_ptr();
            ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len());
        }
        // INVARIANT: Made just now.
        Ok(Self(name))
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
        // SAFETY: Valid by the type invariant.
        let (users, shared) = unsafe { (&(*name).users, (*name).shared) };
        if dec_not_one(users) {
            return;
        }
        // The last reference, but for those that the tree gives away until it is locked.
        let last = !shared
            || NAMES
                .with(|tree| {
                    let last = users.dec_and_test();
                    if last {
                        // SAFETY: In the tree by the type invariant, and the tree is locked.
                        unsafe { bindings::rb_erase((*name).links.get(), tree.0.get()) };
                    }
                    last
                })
                .unwrap_or(false);
        if last {
            // SAFETY: Allocated by `alloc`, in no tree, and this was the last reference.
            unsafe { kfree(name.cast()) };
        }
    }
}
