"""What tasks wait on: wait queue, rwsem, spinlock, sequence count, refcount, RCU."""
