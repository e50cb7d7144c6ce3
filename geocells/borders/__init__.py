"""Administrative borders: the embedded hierarchy, and border files of users."""
