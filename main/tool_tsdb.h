/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* `narthex tsdb list|analyze|dump|verify DIR`, and `narthex verify DIR`: a data directory that no
 * server runs on. Returns the exit status: 0, 1 when something failed or is bad, 2 for wrong
 * arguments. */
int tool_tsdb_main(int argc, char **argv);
