"""x"""
def write(found, machine): pass
