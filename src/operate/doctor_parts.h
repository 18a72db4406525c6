/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of the doctor share. */
#ifndef OPERATE_DOCTOR_PARTS_H
#define OPERATE_DOCTOR_PARTS_H

#include "outerloop/operate/doctor.h"

typedef enum doctor_grade { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_FAULT } doctor_grade;

typedef struct doctor {
    ol_comm *comm; /* NULL before MPI */
    const char *folder;
    FILE *out; /* NULL: silent */
    ol_doctor_tally *tally;
    ol_comm_layout layout;
} doctor;

/* One finding, counted and written: "what: ...". Its fix belongs to the text. */
void doctor_say(doctor *d, doctor_grade grade, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Gather n bytes of each rank in order: all [size, n] on rank 0, NULL elsewhere; free it.
 * Collective. */
ol_status doctor_collect(doctor *d, const void *mine, size_t n, void **all);

/* Each is collective. Errors: OL_EMPI, OL_ENOMEM. */
ol_status doctor_binding(doctor *d);
ol_status doctor_products(doctor *d);
ol_status doctor_memory(doctor *d);
ol_status doctor_folder(doctor *d);

#endif
