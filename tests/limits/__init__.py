"""Every limit of docs/limits.md at its true size: ``just limits``. Some minutes; not part of CI."""
