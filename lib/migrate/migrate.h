/* SPDX-License-Identifier: MIT */
/*
 * Live Migration Assistant [S 6]: what each phase of a migration does to one
 * connection. Who calls it for which connections is lib/socket/service.c's
 * business; how bytes survive is the switch's (lib/conn).
 *
 * Threads: the service thread, holding both locks of the connection.
 */
#ifndef XVMC_MIGRATE_H
#define XVMC_MIGRATE_H

#include "conn/conn.h"

/* A guest is about to move, is moving, or has moved. */
struct migrate_event {
	xvmc_domid_t old_domid; /* as it was called before */
	bool self;              /* it is our own guest */
};

/* True if the connection has to do with the guest that moves: it is linked to
 * it, or something of that link is still there. */
bool migrate_concerns(const struct conn_t *c, const struct migrate_event *ev);

/*
 * Phase 2: the migration was announced. The ring stays in use for as long as
 * the guest runs on the source; new rings are not begun. Returns true if the
 * connection stays as it is, i.e. always: here for the one who greps for the
 * papers' name.
 */
bool keep_con_with_migration(struct conn_t *c, const struct migrate_event *ev);

/*
 * Phase 3: the guest runs on its target (or has died). Our direction goes to
 * TCP if it is not there yet. Where we are the one who moved, the mappings
 * are known to be dead: they are not looked at any more.
 */
void finish_mig(struct conn_t *c, const struct migrate_event *ev);

#endif
