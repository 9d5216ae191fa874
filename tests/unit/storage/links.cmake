list(APPEND links nx_lib_net)
