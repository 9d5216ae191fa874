/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One server process from its flags to its exit code: construction in order, then signals, then the
 * reverse. */

/* `narthex server FLAGS...`; argv[0] is the command's own name. Blocks until the server has
 * stopped. */
int server_main(int argc, char **argv);
