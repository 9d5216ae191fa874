/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* `narthex export prometheus OUT`: samples of a data directory that no server runs on, as blocks
 * that Prometheus reads. Returns the exit status: 0, 1 when it failed, 2 for wrong arguments. */
int export_main(int argc, char **argv);
