/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/comm/node.h
 * One copy of a block of memory per node, which all ranks of that node read: weights that are
 * frozen, hundreds of MB to many GB; and memory of a node that its ranks write too, each its own of it.
 *
 *     node 0                            node 1
 *     rank 0   rank 1   rank 2          rank 3   rank 4
 *     fills    reads    reads           fills    reads
 *        \_______|________/                \_______/
 *            [ bytes ]                     [ bytes ]
 *
 * A block is filled once and is read-only from then on:
 *
 *     OL_TRY(ol_node_block_create(comm, "frozen weights", bytes, &block));
 *     if (ol_node_block_mine(block))
 *         status = read_file(path, ol_node_block_at(block));       local, may fail on some nodes
 *     status = ol_node_block_ready(block, status);                 fails on all ranks, or on none
 *     ... all ranks read ...
 *     ol_node_block_destroy(block);
 *
 * A rank alone on its node has ordinary memory of its own. More ranks share a window of MPI, and
 * where that lies is MPI's choice. Open MPI 4.1 maps a file in /dev/shm, or in its session folder
 * where /dev/shm cannot be written. OMPI_MCA_osc_sm_backing_directory=FOLDER names another (one on a
 * disk works, but the system then writes the block out to it), and OMPI_MCA_shmem=sysv takes memory
 * that is in no folder.
 *
 * In a file system that is too small, as docker's /dev/shm of 64 MiB is, the first write to a page
 * that it lacks kills with SIGBUS; and where MPI itself finds too little, it fails on one rank and
 * leaves the others waiting. So all is looked at before MPI is asked: a small window shows where
 * they go, that folder must have the room and the kernel must promise the memory. Then, on Linux
 * 5.14 or later, the pages are taken before anybody fills them, which fails where a write would
 * kill. What is left: a promise that the kernel cannot keep ends in its out-of-memory killer, and if
 * something else takes the room in the moment between our look and MPI's, ranks wait in vain.
 *
 * MPI opens and closes such memory by waiting for the ranks of the node, where nobody can be asked why
 * one does not come: an alarm (SIGALRM) ends a process that waits there longer than ol_comm_watch
 * says, with a message and exit code 1.
 *
 * The file has no name any more as soon as all ranks of the node map it, so killed ranks leave
 * nothing behind; only a kill within ol_node_block_create can leave a FOLDER/osc_sm.*.
 */
#ifndef OUTERLOOP_COMM_NODE_H
#define OUTERLOOP_COMM_NODE_H

#include "outerloop/comm/comm.h" /* ol_comm */

typedef struct ol_node_block ol_node_block;

/**
 * A block of `bytes` (0 allowed, the same on all ranks) on every node, to be filled.
 * @param comm  borrowed, outlives the block
 * @param what  what it is for, for messages; borrowed for this call
 * @param out   *owned by the caller* (ol_node_block_destroy); NULL on failure
 * Collective: fails on all ranks or none, and then nothing is left of it.
 * Errors: OL_ENOMEM with `what` and byte count; where a folder lacks the room, also with its name,
 * its free bytes and the settings that help (it must have 5 % and 8 MiB more than the block, of
 * which MPI wants the 5 %). OL_EUSAGE when the setting names a folder that cannot be written.
 * OL_EMPI, after which the ranks should end.
 * Cost: where ranks share, the kernel clears all pages now rather than while they are filled.
 */
ol_status ol_node_block_create(ol_comm *comm, const char *what, size_t bytes, ol_node_block **out);

/**
 * The same for memory in parts, one a rank of the node, that are written and read again and again: of so
 * many bytes each, zero at first and the part's own rank's to write. Who reads another's is told by
 * messages when (ol_node_block_sync); such a block is never "ready". Each rank takes the pages of its
 * part, which are near its processor then.
 */
ol_status ol_node_parts_create(ol_comm *comm, const char *what, size_t bytes, ol_node_block **out);

/**
 * The same for n vectors of bytes[i] each, of which every rank writes a slice and all may read all:
 * rank r of R the elements from length·r/R on, nearly, so that these pages are near its processor.
 */
ol_status ol_node_vectors_create(ol_comm *comm, const char *what, int n, const size_t *bytes,
                                 ol_node_block **out);

/** Part or vector i, on a page boundary. Borrowed from the block. Local. */
void *ol_node_part_at(const ol_node_block *block, int i);

/** Ranks that share the block. @param own  set to this rank's number among them. Local. */
int ol_node_block_ranks(const ol_node_block *block, int *own);

/** All of them are here, and what any wrote before is seen by all. Collective over the node.
 *  Errors: OL_EMPI. */
ol_status ol_node_block_meet(const ol_node_block *block);

/** Between writing and the message that says so, and between hearing it and reading: then what was written
 *  is seen. Local. Errors: OL_EMPI. */
ol_status ol_node_block_sync(const ol_node_block *block);

/** The memory, the same on every rank of the node though the addresses differ; starts on a page
 *  boundary. Borrowed from the block. Local. */
void *ol_node_block_at(const ol_node_block *block);

/** True on the one rank of each node that fills the block: the lowest, so on rank 0. Local. */
bool ol_node_block_mine(const ol_node_block *block);

/**
 * Say that own part of the filling is done, or failed. After OL_OK everyone sees what was filled
 * and nobody writes: the pages are read-only, and a stray write ends that process with SIGSEGV
 * instead of giving all ranks other weights. Do not send from the block either: network drivers
 * may want memory that they could write.
 * @param mine  of the fillers, what came of it; of the others OL_OK or a failure of theirs
 * Collective. Errors: what ol_comm_agree makes of all ranks' `mine`; the block is then as it was,
 * to be filled again or destroyed.
 */
ol_status ol_node_block_ready(ol_node_block *block, ol_status mine);

/** Warn of what is done instead after OL_ENOMEM, and why: at length the first time. Local. */
void ol_node_warn(ol_comm *comm, const char *instead);

/** Free, filled or not. Collective. Accepts NULL (on all ranks). */
void ol_node_block_destroy(ol_node_block *block);

#endif
