/* SPDX-License-Identifier: BSD-3-Clause */
#include <unistd.h>

#include "command.h"
#include "outerloop/base/log.h"
#include "outerloop/comm/comm.h"

/* Ranks that will never answer can only be ended; checkpoints are whole at any instant. */
static void leave_at_once(ol_comm *comm, const char *message)
{
    const unsigned grace = 5; /* seconds, for the one who speaks */

    if (message[0])
        ol_log_error("%s", message);
    else
        sleep(grace);
    ol_comm_abort(comm, OL_EXIT_FAILED);
}

int ol_cli_on_ranks(ol_cli_work work, void *payload)
{
    bool work_started = false;
    ol_comm *comm = NULL;
    ol_status status = ol_comm_init(&comm);
    int code;

    if (status != OL_OK)
        return ol_cli_finish(status, false);
    ol_log_identify(ol_comm_rank(comm));
    ol_comm_on_stall(comm, leave_at_once);
    status = work(comm, payload, &work_started);
    code = ol_comm_rank(comm) == 0 ? ol_cli_finish(status, work_started)
                                   : ol_cli_exit(status, work_started);
    ol_comm_destroy(comm);
    return code;
}
