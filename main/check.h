/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* `narthex check config FILE...`: whether a server would start with them, and what in them has no
 * effect yet. Exit code 0: all good; 1: a fault, told on stderr with file and line. */
int check_main(int argc, char **argv);
