"""What is kept on the host: releases, their history, the lock."""
