# For firmware with smolmp frozen in: resident.c.
add_library(usermod_smolmp INTERFACE)
target_sources(usermod_smolmp INTERFACE ${CMAKE_CURRENT_LIST_DIR}/resident.c)
target_link_options(usermod_smolmp INTERFACE
    -Wl,--undefined=smolmp_resident -Wl,--wrap=gc_collect_start)
target_link_libraries(usermod INTERFACE usermod_smolmp)
