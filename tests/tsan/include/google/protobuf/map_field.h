#pragma once

// Found before protobuf's own header under TSan, and hands it on as a plain build sees it.
//
// With __SANITIZE_THREAD__, the MapFieldBase of protobuf 3.21 has two counters more. Debian's
// libprotobuf is built without: it would find a map's members eight bytes off, and crash.

// Whatever the standard library does for TSan it does still: this header is where it decides that.
#include <version>

#pragma push_macro("__SANITIZE_THREAD__")
#undef __SANITIZE_THREAD__
#include_next <google/protobuf/map_field.h>
#pragma pop_macro("__SANITIZE_THREAD__")
