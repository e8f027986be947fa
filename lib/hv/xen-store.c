/* SPDX-License-Identifier: MIT */
/*
 * Xenstore through libxenstore.
 */
#include "xen-store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xenstore.h>

struct xen_store {
	struct xs_handle *xs;
};

int xen_store_open(struct xen_store **ret_store)
{
	struct xen_store *store = calloc(1, sizeof(*store));

	if (!store)
		return -ENOMEM;
	store->xs = xs_open(0);
	if (!store->xs) {
		int rc = errno ? -errno : -EIO;

		free(store);
		return rc;
	}
	*ret_store = store;
	return 0;
}

void xen_store_close(struct xen_store *store)
{
	xs_close(store->xs);
	free(store);
}

static int done(bool ok)
{
	return ok ? 0 : errno ? -errno : -EIO;
}

int xen_store_read(struct xen_store *store, const char *path, char *ret_text)
{
	unsigned int len;
	char *text;

	errno = 0;
	text = xs_read(store->xs, XBT_NULL, path, &len);
	if (!text)
		return done(false);
	if (len >= XEN_STORE_TEXT)
		len = XEN_STORE_TEXT - 1;
	memcpy(ret_text, text, len);
	ret_text[len] = '\0';
	free(text);
	return 0;
}

int xen_store_write(struct xen_store *store, const char *path, const char *text)
{
	errno = 0;
	return done(xs_write(store->xs, XBT_NULL, path, text, (unsigned int)strlen(text)));
}

int xen_store_remove(struct xen_store *store, const char *path)
{
	errno = 0;
	return done(xs_rm(store->xs, XBT_NULL, path));
}

int xen_store_permit(struct xen_store *store, const char *path, uint32_t owner,
		     uint32_t reader)
{
	/* The first entry names the owner and what all others may. */
	struct xs_permissions perms[2] = { { .id = owner, .perms = XS_PERM_NONE },
					   { .id = reader, .perms = XS_PERM_READ } };

	errno = 0;
	return done(xs_set_permissions(store->xs, XBT_NULL, path, perms, 2));
}

int xen_store_list(struct xen_store *store, const char *path,
		   bool (*fn)(void *arg, const char *name), void *arg)
{
	unsigned int n;
	char **names;

	errno = 0;
	names = xs_directory(store->xs, XBT_NULL, path, &n);
	if (!names)
		return done(false);
	for (unsigned int i = 0; i < n; i++)
		if (!fn(arg, names[i]))
			break;
	free(names);
	return 0;
}

int xen_store_watch(struct xen_store *store, const char *path)
{
	errno = 0;
	return done(xs_watch(store->xs, path, "xvmc"));
}

int xen_store_unwatch(struct xen_store *store, const char *path)
{
	errno = 0;
	return done(xs_unwatch(store->xs, path, "xvmc"));
}

int xen_store_fd(struct xen_store *store)
{
	return xs_fileno(store->xs);
}

void xen_store_fired(struct xen_store *store)
{
	char **watch;

	while ((watch = xs_check_watch(store->xs)))
		free(watch);
}
