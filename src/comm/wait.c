/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting for others, and finding out for whom.
 *
 * Everything collective is started without blocking and waited for here. A rank that has waited for
 * half of comm->stall_seconds asks all others; each answers when it waits too, or when it looks up
 * from its work (ol_comm_attend). Whoever has not answered after the other half is stopped or lost. */
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "internal.h"
#include "outerloop/base/clock.h" /* ol_clock_seconds */
#include "outerloop/base/text.h"  /* ol_text */

enum {
    TAG_NEWS = 1,
    POLLS = 1000,      /* before the processor is offered to others   */
    MOST_NAMED = 8,    /* ranks in a message                          */
    MOST_NAP = 100000, /* ns                                          */
    NAP_SHARE = 50,    /* of the time waited: sleep costs at most 2 % */
};
static const double busy_seconds = 0.001; /* before it sleeps between two looks */
static const double attend_seconds = 0.5; /* between two looks for news         */

/* What ranks tell each other beside the work. */
typedef enum news { ASK, WAITING, WORKING, STOP } news;

static void send_news(ol_comm *comm, news what, int to)
{
    static const int sent[] = {ASK, WAITING, WORKING, STOP};
    MPI_Request request;

    /* nobody waits for its end, which a rank that is stopped may never let come */
    if (MPI_Isend(&sent[what], 1, MPI_INT, to, TAG_NEWS, comm->watch, &request) == MPI_SUCCESS)
        MPI_Request_free(&request);
}

static void send_all(ol_comm *comm, news what)
{
    for (int r = 0; r < comm->size; r++)
        if (r != comm->rank)
            send_news(comm, what, r);
}

/* Read all that has come. @param self  what to answer who asks */
static void read_news(ol_comm *comm, news self)
{
    int there = 1, what;
    MPI_Status status;

    while (MPI_Iprobe(MPI_ANY_SOURCE, TAG_NEWS, comm->watch, &there, &status) == MPI_SUCCESS &&
           there) {
        if (MPI_Recv(&what, 1, MPI_INT, status.MPI_SOURCE, TAG_NEWS, comm->watch,
                     MPI_STATUS_IGNORE) != MPI_SUCCESS)
            return;
        if (what == ASK)
            send_news(comm, self, status.MPI_SOURCE);
        else if (what == STOP)
            comm->told_to_stop = true;
        else
            comm->answers[status.MPI_SOURCE] = (char)what;
    }
}

bool ol_comm_attend(ol_comm *comm)
{
    const double now = ol_clock_seconds();

    if (comm->size > 1 && now - comm->attended >= attend_seconds) {
        comm->attended = now;
        read_news(comm, WORKING);
    }
    return comm->told_to_stop;
}

void ol_comm_tell_stop(ol_comm *comm)
{
    if (comm->size > 1 && !comm->told_to_stop)
        send_all(comm, STOP);
    comm->told_to_stop = true;
}

void ol_comm_watch(ol_comm *comm, double seconds)
{
    comm->stall_seconds = seconds;
}

void ol_comm_on_stall(ol_comm *comm, ol_comm_stall_action *action)
{
    comm->on_stall = action;
}

/* "rank 3 on node2, rank 7 on node4 and 2 more"; nothing when all have answered. */
static ol_status list_missing(const ol_comm *comm, ol_text *text)
{
    int n = 0;

    for (int r = 0; r < comm->size; r++) {
        if (r == comm->rank || comm->answers[r])
            continue;
        if (n++ < MOST_NAMED)
            OL_TRY(ol_text_format(text, "%srank %d on %s", n > 1 ? ", " : "", r,
                                  comm->hosts + (size_t)r * OL_HOST_TEXT));
    }
    return n > MOST_NAMED ? ol_text_format(text, " and %d more", n - MOST_NAMED) : OL_OK;
}

/* The lowest rank of those that wait speaks for them. */
static bool speaks(const ol_comm *comm)
{
    for (int r = 0; r < comm->rank; r++)
        if (comm->answers[r] == WAITING)
            return false;
    return true;
}

static bool anybody(const ol_comm *comm, news what)
{
    for (int r = 0; r < comm->size; r++)
        if (r != comm->rank && comm->answers[r] == (char)what)
            return true;
    return false;
}

/* All have been asked and had time to answer: is it over? */
static ol_status judge(ol_comm *comm, const char *call, double seconds)
{
    ol_text missing = {0};
    ol_status status = list_missing(comm, &missing);

    if (status == OL_OK && missing.size == 0 && anybody(comm, WORKING))
        return OL_OK;
    if (status == OL_OK && missing.size > 0)
        status = ol_fail(OL_EMPI,
                         "no progress for %.0f s: rank %d on %s waits in %s for %s, which %s not "
                         "answer: stopped, hung, or lost with the host? --resume goes on from the "
                         "last checkpoint (train.stall_minutes is how long to wait)",
                         seconds, comm->rank, comm->host, call, missing.data,
                         strchr(missing.data, ',') ? "do" : "does");
    else if (status == OL_OK)
        status =
            ol_fail(OL_EMPI,
                    "no progress for %.0f s: all ranks wait, rank %d on %s in %s: MPI does not "
                    "deliver. --resume goes on from the last checkpoint "
                    "(train.stall_minutes is how long to wait)",
                    seconds, comm->rank, comm->host, call);
    ol_text_finish(&missing);
    if (comm->on_stall)
        comm->on_stall(comm, speaks(comm) ? ol_status_message() : "");
    return status;
}

/* One wait at its time: how long, and whether the others have been asked. */
typedef struct waiting {
    double began;
    bool asked;
} waiting;

/* Called now and then while waiting. */
static ol_status look_around(ol_comm *comm, const char *call, waiting *w)
{
    const double now = ol_clock_seconds();

    if (now - comm->attended < attend_seconds)
        return OL_OK;
    comm->attended = now;
    read_news(comm, WAITING);
    if (comm->stall_seconds <= 0 || now - w->began < comm->stall_seconds / 2)
        return OL_OK;
    if (!w->asked) {
        memset(comm->answers, 0, (size_t)comm->size);
        send_all(comm, ASK);
        w->asked = true;
    } else if (now - w->began >= comm->stall_seconds) {
        OL_TRY(judge(comm, call, now - w->began));
        *w = (waiting){.began = now}; /* somebody works: another such time for it */
    }
    return OL_OK;
}

static void nap(double waited)
{
    const double most = waited * 1e9 / NAP_SHARE;

    nanosleep(&(struct timespec){.tv_nsec = most < MOST_NAP ? (long)most : MOST_NAP}, NULL);
}

ol_status ol_comm_wait(ol_comm *comm, const char *call, MPI_Request *request, bool may_sleep)
{
    waiting w = {0};

    for (unsigned polls = 1;; polls++) {
        int done = 0;

        OL_TRY_MPI(MPI_Test(request, &done, MPI_STATUS_IGNORE));
        if (done)
            return OL_OK;
        if (polls % POLLS != 0 && !(may_sleep && w.began > 0))
            continue;
        const double now = ol_clock_seconds();

        if (w.began == 0)
            w.began = now;
        OL_TRY(look_around(comm, call, &w));
        if (may_sleep && now - w.began > busy_seconds)
            nap(now - w.began);
        else
            sched_yield();
    }
}
