/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The tenant of whoever names none. */
#define TENANT_DEFAULT "anonymous"
