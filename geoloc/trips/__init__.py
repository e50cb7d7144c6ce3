"""A whole photo library, placed by times, geotags, tracks and pictures together."""

from geoloc.trips.library import locate_library as locate_library
