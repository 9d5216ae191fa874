/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* `narthex import prometheus DIR` and `narthex import openmetrics FILE`: history from elsewhere
 * into a data directory. Returns the exit status: 0 when all was imported, 1 when something could
 * not be, 2 for wrong arguments. */
int import_main(int argc, char **argv);
