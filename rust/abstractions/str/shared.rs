// SPDX-License-Identifier: GPL-2.0-only

//! Strings that are shared by all users of the same key.
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
use core::{
    cmp::Ordering,
    mem::offset_of,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    bindings,
    prelude::*,
    ptr::project,
    sync::{
        global_lock,
        GlobalGuard,
        Refcount, //
    },
    types::Opaque, //
};

/// The header of a shared string. The string follows in the same allocation, with its NUL.
struct Node {
    /// Protected by the lock of the tree, if the node is in the tree.
    links: Opaque<bindings::rb_node>,
    /// The number of references. If the node is in the tree, the last one is dropped under the
    /// lock.
    refs: Refcount,
    /// The key of the string.
    key: u32,
    /// The size of the string in bytes, with its NUL.
    len: u32,
    /// Whether the node is in the tree.
    in_tree: bool,
}

/// All shared strings, ordered by key.
///
/// The kernel crate's `RBTree` allocates each node separately from its value.
struct Tree(Opaque<bindings::rb_root>);

// SAFETY: The tree is only accessed with the lock held, and any thread may free a node.
unsafe impl Send for Tree {}

global_lock! {
    // SAFETY: `TREE` initialises the lock before it takes it.
    unsafe(uninit) static TREE_LOCK: SpinLock<Tree> = Tree(Opaque::new(bindings::rb_root {
        rb_node: ptr::null_mut(),
    }));
}

// SAFETY: Nothing else uses `TREE_LOCK`.
static TREE: BhLock<TREE_LOCK> = unsafe { BhLock::new(&TREE_LOCK) };

/// The result of a search in the tree.
enum Position {
    Occupied(NonNull<Node>),
    /// The parent of a new node, and the pointer to the new node in it.
    Vacant(*mut bindings::rb_node, *mut *mut bindings::rb_node),
}

/// Searches the tree. O(log n) in the number of keys.
fn find(tree: &GlobalGuard<TREE_LOCK>, key: u32) -> Position {
    let mut parent = ptr::null_mut();
    let mut at = project!(mut tree.0.get(), .rb_node);
    loop {
        // SAFETY: The tree is locked, so the root and all nodes are valid.
        let links = unsafe { *at };
        if links.is_null() {
            return Position::Vacant(parent, at);
        }
        let node = links
            .wrapping_byte_sub(offset_of!(Node, links))
            .cast::<Node>();
        // SAFETY: The tree is locked, so all nodes are valid.
        let of_node = unsafe { (*node).key };
        match key.cmp(&of_node) {
            // SAFETY: A valid pointer is not null.
            Ordering::Equal => return Position::Occupied(unsafe { NonNull::new_unchecked(node) }),
            Ordering::Less => at = project!(mut links, .rb_left),
            Ordering::Greater => at = project!(mut links, .rb_right),
        }
        parent = links;
    }
}

/// A reference to a string. References that were created with the same key and an equal string
/// share the memory.
///
/// # Invariants
///
/// The pointer is to a valid node, and one of its references is owned by this value. The node is in
/// the tree if and only if its `in_tree` is set.
pub(crate) struct SharedCStr(NonNull<Node>);

// SAFETY: The string is never written, the refcount is atomic, and any thread may free the node.
unsafe impl Send for SharedCStr {}

// SAFETY: A shared reference gives access to the string only, which is never written.
unsafe impl Sync for SharedCStr {}

impl SharedCStr {
    /// Initialises the lock. Call this before the first [`Self::new`]. Process context.
    pub(crate) fn init() {
        TREE.init();
    }

    /// Returns a reference to a string equal to `string`.
    ///
    /// If `key` is in use with another string, the new one is not shared. Fails with `ENOMEM`, or
    /// with `EINVAL` before [`Self::init`]. Does not sleep; any context with interrupts enabled.
    /// O(log n) in the number of keys.
    pub(crate) fn new(key: u32, string: &CStr) -> Result<Self> {
        TREE.with(|tree| match find(tree, key) {
            // SAFETY: The node is in the tree, which is locked.
            Position::Occupied(node) if unsafe { Self::string(node) } == string => {
                // SAFETY: The node is in the tree, which is locked, so its refcount is not 0.
                unsafe { (*node.as_ptr()).refs.inc() };
                // INVARIANT: The line above took the reference. The node is in the tree.
                Ok(Self(node))
            }
            Position::Occupied(_) => Self::alloc(key, string),
            Position::Vacant(parent, at) => {
                let own = Self::alloc(key, string)?;
                let node = own.0.as_ptr();
                // SAFETY: The node was allocated above, and nothing else refers to it.
                unsafe { (*node).in_tree = true };
                // The pointer must be valid for the whole node: do not derive it from a reference
                // to the links.
                let links = Opaque::cast_into(project!(node, .links));
                // SAFETY: The tree is locked, and a search for the key ends at this position. The
                // node stays valid until it is erased from the tree.
                unsafe { bindings::rb_link_node(links, parent, at) };
                // SAFETY: The tree is locked, and the node was linked to it above.
                unsafe { bindings::rb_insert_color(links, tree.0.get()) };
                Ok(own)
            }
        })?
    }

    /// Allocates a string that is not shared.
    fn alloc(key: u32, string: &CStr) -> Result<Self> {
        let bytes = string.to_bytes_with_nul();
        let len = u32::try_from(bytes.len()).map_err(|_| ENOMEM)?;
        // SAFETY: An FFI call with no requirements. The size of a string and a `Node` cannot
        // overflow.
        let node = unsafe { kmalloc(size_of::<Node>() + bytes.len(), GFP_ATOMIC) };
        let node: NonNull<Node> = NonNull::new(node).ok_or(ENOMEM)?.cast();
        const { assert!(align_of::<Node>() <= align_of::<u64>()) };
        let header = Node {
            links: Opaque::zeroed(),
            refs: Refcount::new(1),
            key,
            len,
            in_tree: false,
        };
        // SAFETY: The allocation is larger than a `Node`, and aligned at least like a `u64`.
        // Nothing else refers to it.
        unsafe { node.write(header) };
        // SAFETY: The allocation has space for the string after the node.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), Self::start(node), bytes.len()) };
        // INVARIANT: The new node has one reference, and is not in the tree.
        Ok(Self(node))
    }

    /// Returns the address of the string of a node.
    fn start(node: NonNull<Node>) -> *mut u8 {
        node.as_ptr().wrapping_add(1).cast()
    }

    /// # Safety
    ///
    /// `node` is valid for `'a`.
    unsafe fn string<'a>(node: NonNull<Node>) -> &'a CStr {
        // SAFETY: The node is valid by the safety requirements of this function.
        let len = unsafe { (*node.as_ptr()).len } as usize;
        // SAFETY: A string of `len` bytes follows the node, and is never written.
        let bytes = unsafe { core::slice::from_raw_parts(Self::start(node), len) };
        // SAFETY: `alloc` copied the bytes from a string, with its NUL.
        unsafe { CStr::from_bytes_with_nul_unchecked(bytes) }
    }

    /// Returns the string.
    pub(crate) fn as_cstr(&self) -> &CStr {
        // SAFETY: The node is valid by the type invariant.
        unsafe { Self::string(self.0) }
    }
}

impl PartialEq for SharedCStr {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.as_cstr() == other.as_cstr()
    }
}

impl Drop for SharedCStr {
    fn drop(&mut self) {
        // SAFETY: The node is valid by the type invariant. Except for the links and the refcount,
        // it does not change once there are references to it.
        let node = unsafe { self.0.as_ref() };
        if dec_not_one(&node.refs) {
            return;
        }
        // This seems to be the last reference, but until the tree is locked `new` may take another.
        let last = !node.in_tree
            || TREE
                .with(|tree| {
                    let last = node.refs.dec_and_test();
                    if last {
                        // SAFETY: The node is in the tree by the type invariant, and the tree is
                        // locked.
                        unsafe { bindings::rb_erase(node.links.get(), tree.0.get()) };
                    }
                    last
                })
                .unwrap_or(false);
        if last {
            // SAFETY: `alloc` allocated the node, it is not in the tree, and this was its last
            // reference.
            unsafe { kfree(self.0.as_ptr().cast()) };
        }
    }
}
