/* SPDX-License-Identifier: MIT */
/*
 * Xenstore as xvmcd needs it: small texts, lists of names, and word that
 * something has changed. For what happens once a guest or a migration; its
 * quotas are too small for anything more [X 6].
 *
 * Threads: one. fork: open it after the last one. migration: the handle goes
 * on; relative paths mean the new domain's from then on, and every watch
 * fires once.
 *
 * Errors: -errno. A watch too many breaks a domU's handle for good: -EIO from
 * then on.
 */
#ifndef XVMC_HV_XEN_STORE_H
#define XVMC_HV_XEN_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XEN_STORE_TEXT 2048u /* a node's, with the NUL */

struct xen_store;

int xen_store_open(struct xen_store **ret_store);
void xen_store_close(struct xen_store *store);

/* ret_text: XEN_STORE_TEXT bytes. -ENOENT, -EACCES. */
int xen_store_read(struct xen_store *store, const char *path, char *ret_text);
int xen_store_write(struct xen_store *store, const char *path, const char *text);
int xen_store_remove(struct xen_store *store, const char *path);

/* The node is owner's, and reader may read it; nobody else may. */
int xen_store_permit(struct xen_store *store, const char *path, uint32_t owner,
		     uint32_t reader);

/* Calls fn for each name below path, until it returns false. */
int xen_store_list(struct xen_store *store, const char *path,
		   bool (*fn)(void *arg, const char *name), void *arg);

int xen_store_watch(struct xen_store *store, const char *path);
int xen_store_unwatch(struct xen_store *store, const char *path);

/* Readable when a watch has fired, until xen_store_fired takes what there is; for
 * ever, if the handle is broken. */
int xen_store_fd(struct xen_store *store);
void xen_store_fired(struct xen_store *store);

#endif
