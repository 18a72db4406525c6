/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/comm/comm.h
 * The ranks of a run: their life, how they agree, and how they pass bytes on.
 *
 * The same program runs alone, under mpirun and under srun. Errors of MPI are returned (OL_EMPI
 * with the call and MPI's own text), not fatal.
 *
 * The rule that keeps ranks from waiting for each other for ever: local work yields a status,
 * ol_comm_agree makes it everyone's, and only then does anybody communicate. No rank leaves a
 * collective region alone.
 *
 *     ol_status mine = read_my_part(...);             local, may fail on some ranks
 *     OL_TRY(ol_comm_agree(comm, mine));              fails on all of them, or on none
 *     OL_TRY(ol_comm_broadcast(comm, ...));           so everybody gets here, or nobody
 *
 * "Collective" below: every rank calls it, in the same order. All communication is on a duplicate
 * of MPI_COMM_WORLD and by one thread.
 */
#ifndef OUTERLOOP_COMM_COMM_H
#define OUTERLOOP_COMM_COMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outerloop/base/status.h" /* ol_status */

typedef struct ol_comm ol_comm;

enum { OL_HOST_TEXT = 256 }; /**< bytes of a host name, NUL included */

/**
 * Start MPI (thread level funneled). Collective over all processes of the job.
 * @param out *owned by the caller* (ol_comm_destroy); one per process
 * Errors: OL_EUSAGE when the launcher started several tasks and MPI, built for another launcher,
 * makes each a world of its own; OL_EMPI; OL_ENOMEM.
 */
ol_status ol_comm_init(ol_comm **out);

/** Finish MPI and free. Collective. Accepts NULL. */
void ol_comm_destroy(ol_comm *comm);

/** Own number, 0 .. size-1. */
int ol_comm_rank(const ol_comm *comm);

/** Number of ranks. */
int ol_comm_size(const ol_comm *comm);

/** Ranks that share out a sum through memory (exact_sum.h): those of a node, or where nodes have
 *  different numbers of ranks, groups of as many as divides all of these numbers. */
int ol_comm_sharing(const ol_comm *comm);

/** Name of the host of this rank. Borrowed. */
const char *ol_comm_host(const ol_comm *comm);

/** "Open MPI v4.1.4": the library in use. Borrowed, usable before ol_comm_init. */
const char *ol_comm_library(void);

/**
 * Make one rank's failure everyone's. Returns on all ranks the most severe of the codes: OL_EMPI,
 * then OL_ENOMEM, OL_EIO, OL_EDATA, OL_EUSAGE, OL_ENONFINITE, OL_ECHECK, OL_ESTOPPED, OL_OK; of
 * equals the lowest rank's. On all ranks ol_status_message is then that rank's message, with rank
 * and host in front unless all ranks failed with the same words; so rank 0 can print it for all.
 * Collective. Cost: one small allreduce when all is well.
 */
ol_status ol_comm_agree(ol_comm *comm, ol_status mine);

/** What rank 0 does alone, whose status becomes everyone's: OL_TRY(OL_ON_FIRST(comm, write(...))).
 *  Collective. */
#define OL_ON_FIRST(comm, expr) ol_comm_agree(comm, ol_comm_rank(comm) == 0 ? (expr) : OL_OK)

/** Copy n bytes of `root` to all ranks; n is the same on all and may exceed 2 GiB. Collective. */
ol_status ol_comm_broadcast(ol_comm *comm, void *bytes, size_t n, int root);

/** Copy n bytes of rank 0 to the lowest rank of every node, so that each node has them once. Collective;
 *  the other ranks do nothing. */
ol_status ol_comm_broadcast_nodes(ol_comm *comm, void *bytes, size_t n);

/** A number of one rank, and whose it is. */
typedef struct ol_comm_extreme {
    double value;
    int rank;
} ol_comm_extreme;

/** Least, greatest and sum of a number over ranks; NaN loses against any number. For logs: the sum
 *  depends on the number of ranks (sums that must not are in exact_sum.h). */
typedef struct ol_comm_stats {
    ol_comm_extreme min, max;
    double sum;
} ol_comm_stats;

/** Statistics of `mine` over ranks, the same on all of them. Collective. */
ol_status ol_comm_reduce(ol_comm *comm, double mine, ol_comm_stats *out);

/** True on all ranks when it is true on any: flags of signals, of stop files. Collective. */
ol_status ol_comm_any(ol_comm *comm, bool mine, bool *out);

/**
 * Seconds since ol_comm_init on the clock of rank 0: the same number on all ranks, so that "a
 * checkpoint is due" is everybody's decision. Collective.
 */
ol_status ol_comm_seconds(ol_comm *comm, double *seconds);

/** Bytes of all ranks, one after the other. */
typedef struct ol_gathered {
    char *bytes;     /**< rank r's are bytes[offsets[r] .. offsets[r+1]-1] */
    size_t *offsets; /**< [size+1]                                         */
} ol_gathered;

/**
 * Collect bytes of any length from each rank on rank 0. @param out  on rank 0 *owned by the caller*
 * (ol_gathered_finish), on others zero. Collective. Errors: OL_EMPI, OL_ENOMEM (on all ranks).
 */
ol_status ol_comm_gather(ol_comm *comm, const void *bytes, size_t n, ol_gathered *out);

/** Free. Accepts NULL and a zero struct. */
void ol_gathered_finish(ol_gathered *gathered);

/** One host of the run. */
typedef struct ol_comm_node {
    char name[OL_HOST_TEXT];
    int ranks; /**< ranks on it                                                          */
    int cores; /**< processors that its ranks may run on, together (sched_getaffinity)  */
} ol_comm_node;

/** Where the ranks are. */
typedef struct ol_comm_layout {
    ol_comm_node *nodes; /**< [n], in order of their lowest rank              */
    int n;
    int crowded;       /**< hosts where ranks × threads exceeds the cores    */
    bool all_unbound;  /**< no rank is bound to fewer than its host's processors */
    char summary[512]; /**< one line for the log: "4 ranks on 2 hosts (node1 2, node2 2), ..." */
} ol_comm_layout;

/**
 * Describe the run to everyone. @param threads  per rank, >= 1
 * @param out  *owned by the caller* (ol_comm_layout_finish). Collective.
 * Errors: OL_EMPI, OL_ENOMEM (on all ranks).
 */
ol_status ol_comm_describe(ol_comm *comm, int threads, ol_comm_layout *out);

/** Free. Accepts NULL and a zero struct. */
void ol_comm_layout_finish(ol_comm_layout *layout);

/**
 * Wait for nobody longer than that, from now on. A rank that has waited half as long in a collective
 * call asks all others, which answer from where they wait or work (ol_comm_attend). When some do not, the
 * ranks that do cannot go on: they know the others and their hosts, and do what ol_comm_on_stall
 * says. Waiting costs little: after a millisecond the processor sleeps between looks, for at most
 * 2 % of the time waited. Local, the same on all ranks. @param seconds  0: for ever
 */
void ol_comm_watch(ol_comm *comm, double seconds);

/** What a rank does that waits for ranks that do not answer. @param message  who is waited for; ""
 *  on ranks that need not say it, as another one does */
typedef void ol_comm_stall_action(ol_comm *comm, const char *message);

/** Without an action the call fails with OL_EMPI, and no other may follow. Local. */
void ol_comm_on_stall(ol_comm *comm, ol_comm_stall_action *action);

/** Look up from long work, so that others know that this rank lives; they are looked at twice a
 *  second at most. True when another rank has told all to stop. Local. */
bool ol_comm_attend(ol_comm *comm);

/** Tell all ranks to stop, once: they hear it in ol_comm_attend. Local. */
void ol_comm_tell_stop(ol_comm *comm);

/** End all ranks at once: only for the command line, when one rank cannot go on and the others may
 *  be waiting for it. Does not return. */
void ol_comm_abort(ol_comm *comm, int exit_code) __attribute__((noreturn));

/**
 * For tests and simulations: sum as if the ranks were on nodes of so many ranks each, in order (they are
 * on those nodes, or a part of them). @param sizes  [n] that add up to the number of ranks
 * Collective. Errors: OL_EMPI, OL_ENOMEM.
 */
ol_status ol_comm_pretend_nodes(ol_comm *comm, const int *sizes, int n);

/**
 * For tests: from now on this rank's OL_OK becomes a failure at each ol_comm_agree with
 * probability `rate`, drawn from the stream (seed, agreement, rank), with that code. 0 turns it
 * off. Local.
 */
void ol_comm_inject(ol_comm *comm, uint64_t seed, double rate, ol_status code);

#endif
